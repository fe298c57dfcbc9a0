// The ground of the 3D scene: a metre grid that fades out, the axes of the world, soft shadows.

import { faded } from "../theme.js";
import { onScreen, segmentOnScreen } from "./orbit.js";

const REACH_M = 9;
const AXES = [
  [[0.5, 0, 0], "#e4572e", "x"],
  [[0, 0.5, 0], "#3fa34d", "y"],
  [[0, 0, 0.5], "#3d7edb", "z"],
];

/** Draws the grid around a point, brighter near it: one line a metre. */
export function drawGrid(context, view, around, colours) {
  const [cx, cy] = [Math.round(around[0]), Math.round(around[1])];
  context.lineCap = "butt";
  for (let line = -REACH_M; line <= REACH_M; line += 1) {
    for (let step = -REACH_M; step < REACH_M; step += 1) {
      const away = Math.hypot(line, step + 0.5) / REACH_M;
      if (away >= 1) continue;
      const alpha = (1 - away) ** 1.4;
      stroke(
        context,
        view,
        [cx + line, cy + step, 0],
        [cx + line, cy + step + 1, 0],
        alpha,
        colours,
      );
      stroke(
        context,
        view,
        [cx + step, cy + line, 0],
        [cx + step + 1, cy + line, 0],
        alpha,
        colours,
      );
    }
  }
}

function stroke(context, view, from, to, alpha, colours) {
  const segment = segmentOnScreen(view, from, to);
  if (!segment) return;
  context.strokeStyle = faded(colours.grid, alpha.toFixed(3));
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(segment[0][0], segment[0][1]);
  context.lineTo(segment[1][0], segment[1][1]);
  context.stroke();
}

/** Draws the world's origin: half a metre of each axis. */
export function drawAxes(context, view, show) {
  const origin = show([0, 0, 0]);
  context.font = "600 11px system-ui, sans-serif";
  for (const [tip, colour, name] of AXES) {
    const segment = segmentOnScreen(view, origin, show(tip));
    if (!segment) continue;
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(segment[0][0], segment[0][1]);
    context.lineTo(segment[1][0], segment[1][1]);
    context.stroke();
    context.fillStyle = colour;
    context.fillText(name, segment[1][0] + 3, segment[1][1] - 3);
  }
}

/** Draws the shadow of a bone under a light straight above. */
export function drawShadow(context, view, first, second, radius, dark) {
  const a = onScreen(view, [first[0], first[1], 0.002]);
  const b = onScreen(view, [second[0], second[1], 0.002]);
  if (!a || !b) return;
  // The higher above the floor, the wider and paler.
  const height = Math.max(0, (first[2] + second[2]) / 2);
  const k = view.focal / ((a[2] + b[2]) / 2);
  context.lineCap = "round";
  context.strokeStyle = `rgba(0,0,0,${((dark ? 0.34 : 0.13) / (1 + height * 1.6)).toFixed(3)})`;
  context.lineWidth = Math.max(1, radius * 2 * k * (1 + height * 0.5));
  context.beginPath();
  context.moveTo(a[0], a[1]);
  context.lineTo(b[0], b[1] + 0.01);
  context.stroke();
}
