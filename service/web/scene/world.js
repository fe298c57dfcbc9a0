// From the rig's world to the one that is shown: z up, floor at zero.

import { add, apply, cross, dot, quantile, scale, unit } from "../vec.js";

const UPRIGHT = new Set(["floor", "imported"]);

/**
 * How to show a rig's world: {show: world point -> shown point, turn: direction, estimated: bool}.
 *
 * A rig whose world is not declared as standing on the floor (it hangs on a camera or a board) is
 * turned so that the cameras' mean "up" points up, and lowered or raised so that the lowest joints
 * seen, or the reading 1.5 m below the cameras, touch the grid; `estimated` says so.
 */
export function shownWorld(kind, cameras, positions = []) {
  if (UPRIGHT.has(kind) || cameras.length === 0) {
    return { show: (point) => point, turn: (direction) => direction, estimated: false };
  }
  const up = unit(cameras.map((camera) => scale(camera.down, -1)).reduce(add));
  const helper = Math.abs(up[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
  const x = unit(cross(cross(up, helper), up));
  const rotation = [x, cross(up, x), up];
  const turn = (direction) => apply(rotation, direction);
  const heights = positions.map((point) => dot(up, point));
  const eyes = cameras.map((camera) => dot(up, camera.center));
  const floor = heights.length ? quantile(heights, 0.02) - 0.08 : quantile(eyes, 0.5) - 1.5;
  const centre = turn(cameras.map((camera) => camera.center).reduce(add));
  const shift = [-centre[0] / cameras.length, -centre[1] / cameras.length, -floor];
  return { show: (point) => add(turn(point), shift), turn, estimated: true };
}

/** The same camera in the world that is shown. */
export function shownCamera(camera, { show, turn }) {
  return {
    ...camera,
    center: show(camera.center),
    right: turn(camera.right),
    down: turn(camera.down),
    forward: turn(camera.forward),
  };
}
