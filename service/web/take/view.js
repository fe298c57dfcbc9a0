// One camera's picture with the people found in it.

import { project } from "../cameras.js";
import { h, onSize, sharpContext } from "../dom.js";
import { BONES, HEAD, sideOfBone } from "../skeleton.js";
import { faded, idColour, mix, onScheme, palette } from "../theme.js";
import { quantile } from "../vec.js";

const FAINT_SCORE = 0.15;
const PADDING = 0.18;

/** A view on a camera: `element` to place, `show` to draw. `onOpen` hears clicks. */
export class View {
  constructor(camera, onOpen) {
    this.camera = camera;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.note = h("span", { class: "view-note" });
    this.element = h(
      "button",
      {
        class: "view",
        type: "button",
        title: "Enlarge",
        data: { camera: camera.name },
        on: { click: onOpen },
      },
      this.canvas,
      h("span", { class: "view-name" }, camera.name),
      this.note,
    );
    this.region = null;
    this.shown = null;
    this.stops = [
      onSize(this.canvas, (width, height) => {
        this.size = [width, height];
        this.paint();
      }),
      onScheme(() => this.paint()),
    ];
  }

  /** Draws a picture (or null) with people and singles of a frame; see `framesFrom`. */
  show(picture, frame, options) {
    this.shown = { picture, frame, options };
    const count = frame.people.filter((person) => person.views[this.camera.name]).length;
    this.note.textContent = picture ? "" : "no picture";
    this.element.setAttribute(
      "aria-label",
      `View of ${this.camera.name}: ${count} people in 3D. Enlarge`,
    );
    this.paint();
  }

  /** Shows only a part of the picture ([x, y, width, height] in frame pixels), or all of it (null). */
  focus(region) {
    this.region = region;
    this.paint();
  }

  close() {
    for (const stop of this.stops) stop();
  }

  paint() {
    if (!this.size || !this.shown) return;
    const { picture, frame, options } = this.shown;
    const context = sharpContext(this.canvas, ...this.size);
    const { frameSize } = this.camera;
    const region = this.region && widened(this.region, this.size, frameSize);
    const place = placement(this.size, frameSize, region);
    context.fillStyle = palette().dark ? "#070b10" : "#dfe5eb";
    context.fillRect(0, 0, ...this.size);
    if (picture) drawPicture(context, picture, place, frameSize, options.dim);
    if (options.skeletons) this.paintPeople(context, frame, place, options);
  }

  paintPeople(context, frame, place, options) {
    const { name } = this.camera;
    for (const single of frame.singles[name] ?? []) {
      drawSkeleton(context, single.joints_px, place, "#9aa7b4", { dashed: true });
    }
    for (const person of frame.people) {
      const seen = person.views[name];
      if (seen) drawSkeleton(context, seen.joints_px, place, idColour(person.id), {});
      if (options.reprojected) {
        const pixels = person.positions.map(
          (position) => position && project(this.camera, position),
        );
        drawBones(
          context,
          pixels.map((pixel) => pixel && place.at(pixel)),
          () => "#ffffff",
          1,
          [3, 3],
        );
      }
    }
  }
}

/** How frame pixels come onto a canvas: {at: pixel -> CSS pixel, k, region}; contained, centred. */
export function placement([width, height], frameSize, region) {
  const [x, y, w, hgt] = region ?? [0, 0, ...frameSize];
  const k = Math.min(width / w, height / hgt);
  const [left, top] = [(width - w * k) / 2, (height - hgt * k) / 2];
  // Pixel centres are integers, so the picture's edge lies at -0.5.
  const at = ([px, py]) => [left + (px + 0.5 - x) * k, top + (py + 0.5 - y) * k];
  return { at, k, origin: [left - x * k, top - y * k] };
}

/** A part of a frame made as wide or high as a canvas's shape allows, kept inside the frame. */
function widened([x, y, w, hgt], [width, height], frameSize) {
  const wanted = [Math.max(w, (hgt * width) / height), Math.max(hgt, (w * height) / width)];
  const size = wanted.map((side, axis) => Math.min(side, frameSize[axis]));
  const middle = [x + w / 2, y + hgt / 2];
  const corner = middle.map((at, axis) =>
    Math.min(frameSize[axis] - size[axis], Math.max(0, at - size[axis] / 2)),
  );
  return [...corner, ...size];
}

/** Draws a picture of any reduction into the place of its full frame. */
export function drawPicture(context, picture, place, frameSize, dim = false) {
  context.globalAlpha = dim ? 0.45 : 1;
  context.drawImage(picture, ...place.origin, frameSize[0] * place.k, frameSize[1] * place.k);
  context.globalAlpha = 1;
}

/** Draws one person: joints_px of [x, y, score] or null; joints under `least` are left out. */
export function drawSkeleton(
  context,
  joints,
  place,
  colour,
  { dashed = false, thin = false, least = FAINT_SCORE, big = false },
) {
  const points = joints.map((joint) => (joint && joint[2] >= least ? place.at(joint) : null));
  const width = big ? 4 : thin ? 1.8 : dashed ? 1.5 : 2.6;
  const tint = (side) => (side === "right" ? mix(colour, "#000000", 0.22) : colour);
  const dash = dashed ? [4, 3] : [];
  if (!dashed) drawBones(context, points, () => "rgba(0,0,0,0.45)", width + 1.8, []);
  drawBones(context, points, (bone) => (dashed ? colour : tint(sideOfBone(bone))), width, dash);
  points.forEach((point, joint) => {
    if (!point || dashed || thin) return;
    context.beginPath();
    context.arc(...point, (HEAD.includes(joint) ? 0.6 : 0.95) * width, 0, 2 * Math.PI);
    context.fillStyle = faded("#ffffff", 0.35 + 0.65 * Math.min(1, joints[joint][2]));
    context.fill();
    context.lineWidth = 1;
    context.strokeStyle = "rgba(0,0,0,0.5)";
    context.stroke();
  });
}

function drawBones(context, points, colourOf, width, dash) {
  context.lineCap = "round";
  context.setLineDash(dash);
  context.lineWidth = width;
  for (const bone of BONES) {
    const [a, b] = bone.map((joint) => points[joint]);
    if (!a || !b) continue;
    context.strokeStyle = colourOf(bone);
    context.beginPath();
    context.moveTo(...a);
    context.lineTo(...b);
    context.stroke();
  }
  context.setLineDash([]);
}

/** The part of a camera's frame in which the take's people are, padded; null if nobody is. */
export function regionOfPeople(frames, camera) {
  const seen = frames.flatMap((frame) =>
    frame.people.flatMap((person) => person.views[camera.name]?.joints_px ?? []),
  );
  const sure = seen.filter((joint) => joint && joint[2] >= FAINT_SCORE);
  if (sure.length === 0) return null;
  const [x0, x1, y0, y1] = [
    [0, 0.01],
    [0, 0.99],
    [1, 0.01],
    [1, 0.99],
  ].map(([axis, q]) =>
    quantile(
      sure.map((joint) => joint[axis]),
      q,
    ),
  );
  const pad = PADDING * Math.max(x1 - x0, y1 - y0);
  const [width, height] = camera.frameSize;
  const [left, top] = [Math.max(0, x0 - pad), Math.max(0, y0 - pad)];
  return [left, top, Math.min(width, x1 + pad) - left, Math.min(height, y1 + pad) - top];
}
