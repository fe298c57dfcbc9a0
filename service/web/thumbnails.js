// Small pictures of what a card leads to: a take's middle frame, a rig's cameras from above.

import { path, read, readBlob } from "./api.js";
import { camerasOf } from "./cameras.js";
import { h, onSize, s, sharpContext } from "./dom.js";
import { personFrom } from "./take/frames.js";
import { drawPicture, drawSkeleton, placement } from "./take/view.js";
import { idColour } from "./theme.js";

const MOST_VIEWS = 4;
const PLAN = { side: 100, margin: 16, cone: 15 };

/** Calls once the element comes into sight. */
function whenVisible(element, call) {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    call();
  });
  observer.observe(element);
}

/** A strip of the views of a take at its middle, filled once it comes into sight. */
export function takeStrip(capture, signal) {
  const strip = h("div", { class: "strip", "aria-hidden": "true" });
  // A take whose pictures were not kept, or that has no frame, has an empty strip.
  whenVisible(strip, () => fillStrip(strip, capture, signal).catch(() => strip.remove()));
  return strip;
}

async function fillStrip(strip, { name, calibration, frames }, signal) {
  const [
    rig,
    {
      frames: [frame],
    },
  ] = await Promise.all([
    read(path.calibration(calibration), { signal }),
    read(`${path.frames(name)}?from=${Math.floor(frames / 2)}&limit=1`, { signal }),
  ]);
  const people = frame.people.map(personFrom);
  // A camera that sent nothing at that moment has no picture to ask for.
  const sent = camerasOf(rig).filter(({ name: one }) => frame.posted?.includes(one) ?? true);
  for (const camera of sent.slice(0, MOST_VIEWS)) {
    const canvas = h("canvas");
    strip.append(canvas);
    const blob = await readBlob(path.picture(name, frame.sequence, camera.name), { signal });
    const picture = await createImageBitmap(blob);
    onSize(canvas, (width, height) => {
      const context = sharpContext(canvas, width, height);
      const place = covering([width, height], camera.frameSize);
      drawPicture(context, picture, place, camera.frameSize);
      for (const person of people) {
        const seen = person.views[camera.name];
        if (seen) drawSkeleton(context, seen.joints_px, place, idColour(person.id), { thin: true });
      }
    });
  }
}

/** The middle of a frame that fills a canvas of another shape. */
function covering([width, height], [frameWidth, frameHeight]) {
  const k = Math.max(width / frameWidth, height / frameHeight);
  const [w, hgt] = [width / k, height / k];
  return placement([width, height], null, [(frameWidth - w) / 2, (frameHeight - hgt) / 2, w, hgt]);
}

/** Where a rig's cameras stand and look, from above; filled once it comes into sight. */
export function rigPlan(name, signal) {
  const plan = s("svg", {
    class: "plan",
    viewBox: `0 0 ${PLAN.side} ${PLAN.side}`,
    "aria-hidden": "true",
  });
  whenVisible(plan, async () => {
    const rig = await read(path.rig(name), { signal }).catch(() => null);
    if (rig?.cameras) plan.append(...planShapes(camerasOf(rig)));
  });
  return plan;
}

function planShapes(cameras) {
  // Seen along the direction that the cameras' pictures have least of: up, whatever the world is.
  const up = cameras.reduce(
    (sum, { down }) => sum.map((value, axis) => value - down[axis]),
    [0, 0, 0],
  );
  const height = up.map(Math.abs).indexOf(Math.max(...up.map(Math.abs)));
  const [across, along] = [0, 1, 2].filter((axis) => axis !== height);
  const flat = (vector) => [vector[across], -vector[along]];
  const places = cameras.map(({ center }) => flat(center));
  const span = (axis) => [
    Math.min(...places.map((p) => p[axis])),
    Math.max(...places.map((p) => p[axis])),
  ];
  const [[x0, x1], [y0, y1]] = [span(0), span(1)];
  const k = (PLAN.side - 2 * PLAN.margin) / Math.max(x1 - x0, y1 - y0, 1e-6);
  const centre = [(x0 + x1) / 2, (y0 + y1) / 2];
  return cameras.map((camera, index) => {
    const [x, y] = places[index].map((value, axis) => PLAN.side / 2 + (value - centre[axis]) * k);
    const [fx, fy] = flat(camera.forward);
    const angle = (Math.atan2(fy, fx) * 180) / Math.PI;
    const half = PLAN.cone * (camera.size[0] / (2 * camera.K[0][0]));
    return s(
      "g",
      { transform: `translate(${x} ${y}) rotate(${angle})` },
      s("path", { class: "cone", d: `M0 0L${PLAN.cone} ${-half}V${half}Z` }),
      s("circle", { r: 2.6 }),
    );
  });
}
