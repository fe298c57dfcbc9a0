// Quality over time under a take: who is there, reprojection error, one chosen curve; click to seek.

import { h, onSize, sharpContext } from "../dom.js";
import { fixed } from "../format.js";
import { faded, idColour, onScheme, palette } from "../theme.js";
import { quantile } from "../vec.js";

const LABEL_PX = 128;
const LANE_PX = 15;
const MOST_LANES = 8;
const ROW_PX = 66;
const GAP_PX = 14;

/** Rows over the frames of a take. `element` to place; `onSeek` hears the frame pointed at. */
export class Timeline {
  constructor(onSeek) {
    this.canvas = h("canvas", { class: "timeline-canvas", "aria-hidden": "true" });
    this.head = h("canvas", { class: "timeline-head", "aria-hidden": "true" });
    this.element = h("div", { class: "timeline" }, this.canvas, this.head);
    this.onSeek = onSeek;
    this.rows = [];
    this.index = 0;
    this.stops = [
      onSize(this.element, (width) => {
        this.width = width;
        this.paint();
      }),
      onScheme(() => this.paint()),
    ];
    const seek = (event) => {
      if (event.buttons !== 1 || !this.frames) return;
      const { left } = this.element.getBoundingClientRect();
      this.onSeek(this.frameAt(event.clientX - left));
    };
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId);
      seek(event);
    });
    this.element.addEventListener("pointermove", seek);
  }

  /**
   * Takes what to draw. frames: see `framesFrom`; rows: [{label, unit, decimals, leastSpan,
   * curves: [{id, values}]}] one value a frame, null at gaps; lanes: [{id, shares}] share of joints placed.
   */
  set(frames, lanes, rows) {
    Object.assign(this, {
      frames,
      lanes: lanes.slice(0, MOST_LANES),
      hidden: lanes.length - MOST_LANES,
      rows,
    });
    this.paint();
  }

  /** Moves the playhead. */
  show(index) {
    this.index = index;
    this.paintHead();
  }

  close() {
    for (const stop of this.stops) stop();
  }

  frameAt(x) {
    const share = (x - LABEL_PX) / (this.width - LABEL_PX - 1);
    return Math.round(Math.min(1, Math.max(0, share)) * (this.frames.length - 1));
  }

  xOf(index) {
    return LABEL_PX + (index / Math.max(1, this.frames.length - 1)) * (this.width - LABEL_PX - 1);
  }

  paint() {
    if (!this.width || !this.frames) return;
    const lanes = Math.max(1, this.lanes.length) * LANE_PX;
    this.height = lanes + this.rows.length * (ROW_PX + GAP_PX) + 6;
    this.element.style.setProperty("height", `${this.height}px`);
    const context = sharpContext(this.canvas, this.width, this.height);
    context.clearRect(0, 0, this.width, this.height);
    context.font = "12px system-ui, sans-serif";
    this.paintLanes(context);
    this.rows.forEach((row, which) => {
      this.paintRow(context, row, lanes + GAP_PX + which * (ROW_PX + GAP_PX));
    });
    this.paintHead();
  }

  paintLanes(context) {
    context.fillStyle = palette().muted;
    context.fillText(this.hidden > 0 ? `People (+${this.hidden})` : "People", 0, 11);
    const step = (this.width - LABEL_PX) / this.frames.length;
    this.lanes.forEach(({ id, shares }, lane) => {
      const top = lane * LANE_PX + 2;
      context.fillStyle = faded(idColour(id), 0.12);
      context.fillRect(LABEL_PX, top, this.width - LABEL_PX, LANE_PX - 4);
      shares.forEach((share, index) => {
        if (!share) return;
        context.fillStyle = faded(idColour(id), 0.25 + 0.75 * share);
        context.fillRect(LABEL_PX + index * step, top, Math.max(1, step + 0.4), LANE_PX - 4);
      });
      context.fillStyle = idColour(id);
      context.fillText(id >= 0 ? `${id}` : "?", LABEL_PX - 16, top + 10);
    });
  }

  paintRow(context, row, top) {
    const colours = palette();
    const values = row.curves.flatMap((curve) => curve.values).filter(Number.isFinite);
    const [low, high] = row.fromZero
      ? [0, (quantile(values, 0.99) || 1) * 1.15]
      : padded(quantile(values, 0) ?? 0, quantile(values, 1) ?? 1, row.leastSpan);
    row.range = [low, high];
    const yOf = (value) => top + ROW_PX - ((Math.min(high, value) - low) / (high - low)) * ROW_PX;
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    for (const edge of [top + ROW_PX + 0.5, top + 0.5]) {
      context.beginPath();
      context.moveTo(LABEL_PX, edge);
      context.lineTo(this.width, edge);
      context.stroke();
    }
    context.fillStyle = colours.muted;
    row.label
      .split("\n")
      .forEach((line, index) => context.fillText(line, 0, top + 11 + 15 * index));
    context.textAlign = "right";
    context.fillText(fixed(high, row.decimals), LABEL_PX - 6, top + 11);
    context.fillText(fixed(low, row.decimals), LABEL_PX - 6, top + ROW_PX);
    context.textAlign = "left";
    for (const { id, values: curve } of row.curves) this.paintCurve(context, id, curve, yOf);
  }

  paintCurve(context, id, values, yOf) {
    context.strokeStyle = idColour(id);
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    context.beginPath();
    let open = false;
    values.forEach((value, index) => {
      if (!Number.isFinite(value)) {
        open = false;
        return;
      }
      if (open) context.lineTo(this.xOf(index), yOf(value));
      else context.moveTo(this.xOf(index), yOf(value));
      open = true;
    });
    context.stroke();
  }

  paintHead() {
    if (!this.width || !this.frames || !this.height) return;
    const context = sharpContext(this.head, this.width, this.height);
    const colours = palette();
    context.clearRect(0, 0, this.width, this.height);
    const x = this.xOf(this.index);
    context.strokeStyle = colours.text;
    context.lineWidth = 1.25;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, this.height);
    context.stroke();
    const lanes = Math.max(1, this.lanes.length) * LANE_PX;
    this.rows.forEach((row, which) =>
      this.paintReading(context, row, lanes + GAP_PX + which * (ROW_PX + GAP_PX), x),
    );
  }

  /** The values under the playhead: a dot on each curve and the numbers beside it. */
  paintReading(context, row, top, x) {
    const [low, high] = row.range;
    const found = row.curves.filter((curve) => Number.isFinite(curve.values[this.index]));
    context.font = "600 12px system-ui, sans-serif";
    found.forEach(({ id, values }, line) => {
      const value = values[this.index];
      const y = top + ROW_PX - ((Math.min(high, value) - low) / (high - low)) * ROW_PX;
      context.fillStyle = idColour(id);
      context.beginPath();
      context.arc(x, y, 3.5, 0, 2 * Math.PI);
      context.fill();
      const text = fixed(value, row.decimals, row.unit);
      const left = x + 8 + context.measureText(text).width > this.width;
      context.textAlign = left ? "right" : "left";
      context.fillText(text, x + (left ? -8 : 8), top + 12 + line * 14);
    });
    context.textAlign = "left";
  }
}

/** A range with air above and below, never so narrow that noise looks like movement. */
function padded(low, high, leastSpan = 1) {
  const pad = Math.max((high - low) * 0.1, (leastSpan - (high - low)) / 2);
  return [low - pad, high + pad];
}
