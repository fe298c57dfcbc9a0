// The rig in the 3D scene: a frustum per camera, with the picture it sees on its far plane.

import { frustumCorners } from "../cameras.js";
import { faded } from "../theme.js";
import { onScreen } from "./orbit.js";

/** What to draw of a camera, with its depth. `picture` is an image or null. */
export function cameraShapes(view, camera, depthM, colours, { picture, selected }) {
  const apex = onScreen(view, camera.center);
  const corners = frustumCorners(camera, depthM).map((corner) => onScreen(view, corner));
  if (!apex || !corners.every(Boolean)) return [];
  const colour = selected ? colours.accent : colours.muted;
  const depth = (apex[2] + corners.reduce((sum, corner) => sum + corner[2], 0) / 4) / 2;
  return [
    { depth, draw: (context) => drawCamera(context, apex, corners, camera.name, colour, picture) },
  ];
}

function drawCamera(context, apex, corners, name, colour, picture) {
  if (picture) {
    context.globalAlpha = 0.9;
    const { width, height } = picture;
    drawTriangle(
      context,
      picture,
      corners,
      [
        [0, 0],
        [width, 0],
        [0, height],
      ],
      [0, 1, 3],
    );
    drawTriangle(
      context,
      picture,
      corners,
      [
        [width, 0],
        [width, height],
        [0, height],
      ],
      [1, 2, 3],
    );
    context.globalAlpha = 1;
  }
  context.fillStyle = faded(colour, picture ? 0.04 : 0.14);
  context.strokeStyle = faded(colour, 0.9);
  context.lineWidth = 1.25;
  context.lineJoin = "round";
  outline(context, corners);
  context.fill();
  context.stroke();
  context.beginPath();
  for (const corner of corners) {
    context.moveTo(apex[0], apex[1]);
    context.lineTo(corner[0], corner[1]);
  }
  context.stroke();
  // A small roof over the upper edge says which way is up.
  const [a, b] = corners;
  const [dx, dy] = [(b[0] - a[0]) / 2, (b[1] - a[1]) / 2];
  const [ux, uy] = [(a[0] - corners[3][0]) * 0.22, (a[1] - corners[3][1]) * 0.22];
  context.fillStyle = faded(colour, 0.9);
  context.beginPath();
  context.moveTo(a[0] + dx * 0.7, a[1] + dy * 0.7);
  context.lineTo(a[0] + dx * 1.3, a[1] + dy * 1.3);
  context.lineTo(a[0] + dx + ux, a[1] + dy + uy);
  context.fill();
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText(name, apex[0], apex[1] - 7);
  context.textAlign = "left";
}

function outline(context, corners) {
  context.beginPath();
  corners.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
}

/** Half of a picture as an affine triangle: close to perspective while the plane is small. */
function drawTriangle(context, picture, corners, source, which) {
  const [p, q, r] = which.map((index) => corners[index]);
  const [[x0, y0], [x1, y1], [x2, y2]] = source;
  const area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
  const solve = (v0, v1, v2) => {
    const a = ((v1 - v0) * (y2 - y0) - (v2 - v0) * (y1 - y0)) / area;
    const b = ((v2 - v0) * (x1 - x0) - (v1 - v0) * (x2 - x0)) / area;
    return [a, b, v0 - a * x0 - b * y0];
  };
  const [a, c, e] = solve(p[0], q[0], r[0]);
  const [b, d, f] = solve(p[1], q[1], r[1]);
  context.save();
  outline(context, [p, q, r]);
  context.clip();
  context.transform(a, b, c, d, e, f);
  context.drawImage(picture, 0, 0);
  context.restore();
}
