// Calibrated cameras out of a rig's JSON, and the pixels of points in the world.

import { add, apply, dot } from "./vec.js";

/** The cameras of a rig or calibration as the service gives it (docs/api.md), in order. */
export function camerasOf(rig) {
  return (rig.cameras ?? []).map((camera) => ({
    name: camera.name,
    size: camera.size_px,
    frameSize: camera.frame_size_px,
    scale: camera.source.scale,
    offset: camera.source.offset_px,
    model: camera.model,
    K: camera.K,
    distortion: camera.distortion,
    R: camera.R,
    t: camera.t,
    center: camera.center,
    right: camera.R[0],
    down: camera.R[1],
    forward: camera.R[2],
    rms: camera.rms_px,
    quality: camera.quality ?? null,
    sigma: camera.sigma ?? null,
  }));
}

/** Full horizontal and vertical angles of view in degrees, lens distortion left out. */
export function fieldOfView(camera) {
  const [width, height] = camera.size;
  const angle = (size, focal) => (2 * Math.atan(size / (2 * focal)) * 180) / Math.PI;
  return [angle(width, camera.K[0][0]), angle(height, camera.K[1][1])];
}

/** The pixel [x, y] in a posted frame of a point in the world; null behind the camera. */
export function project(camera, point) {
  const [x, y, z] = add(apply(camera.R, point), camera.t);
  if (z < 1e-6) return null;
  const bend = camera.model === "fisheye" ? bendFisheye : bendPinhole;
  const [u, v] = bend(camera.distortion, x / z, y / z);
  const calibrated = [
    camera.K[0][0] * u + camera.K[0][1] * v + camera.K[0][2],
    camera.K[1][1] * v + camera.K[1][2],
  ];
  return calibrated.map((pixel, axis) => (pixel - camera.offset[axis]) / camera.scale);
}

function bendPinhole([k1 = 0, k2 = 0, p1 = 0, p2 = 0, k3 = 0, k4 = 0, k5 = 0, k6 = 0], x, y) {
  const r2 = x * x + y * y;
  // Far outside the picture a polynomial fitted inside it folds back: leave such points straight.
  const curve = (a, b, c) => 1 + r2 * (a + r2 * (b + r2 * c));
  const radial = r2 > 4 ? 1 : curve(k1, k2, k3) / curve(k4, k5, k6);
  return [
    x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
    y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
  ];
}

function bendFisheye([k1 = 0, k2 = 0, k3 = 0, k4 = 0], x, y) {
  const r = Math.hypot(x, y);
  if (r < 1e-9) return [x, y];
  const theta = Math.atan(r);
  const t2 = theta * theta;
  const bent = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))));
  return [(x * bent) / r, (y * bent) / r];
}

/** The four corners of the picture on the plane at a depth in metres: top left, then clockwise. */
export function frustumCorners(camera, depth) {
  const [width, height] = camera.size;
  const corners = [
    [0, 0],
    [width, 0],
    [width, height],
    [0, height],
  ];
  return corners.map(([px, py]) => {
    const x = ((px - camera.K[0][2]) / camera.K[0][0]) * depth;
    const y = ((py - camera.K[1][2]) / camera.K[1][1]) * depth;
    const inWorld = [0, 1, 2].map(
      (axis) => camera.right[axis] * x + camera.down[axis] * y + camera.forward[axis] * depth,
    );
    return add(camera.center, inWorld);
  });
}

/** Distances between all pairs of cameras: [first, second, metres]. */
export function distances(cameras) {
  const pairs = [];
  cameras.forEach((a, i) => {
    for (const b of cameras.slice(i + 1)) {
      const gap = a.center.map((value, axis) => value - b.center[axis]);
      pairs.push([a.name, b.name, Math.sqrt(dot(gap, gap))]);
    }
  });
  return pairs;
}
