// Where the reader stands and looks in the 3D scene, and how pointer and keys move that.

import { add, cross, dot, scale, sub, unit } from "../vec.js";

const NEAR_M = 0.05;
const TURN_PER_PX = 0.0075;
const KEY_TURN = 0.12;
const ZOOM_STEP = 1.12;
const GLIDE_MS = 260;

/** A standpoint: angles in radians, distance and target in metres, half angle of view fixed. */
export function standpoint({
  target = [0, 0, 0.9],
  distance = 5,
  azimuth = -0.9,
  elevation = 0.32,
} = {}) {
  return { target, distance, azimuth, elevation, through: null };
}

/** What is needed to put points on a screen of width x height CSS pixels. */
export function viewFrom(stand, width, height) {
  if (stand.through) return viewThrough(stand.through, width, height);
  const [ce, se] = [Math.cos(stand.elevation), Math.sin(stand.elevation)];
  const back = [ce * Math.cos(stand.azimuth), ce * Math.sin(stand.azimuth), se];
  const forward = scale(back, -1);
  const right = [-Math.sin(stand.azimuth), Math.cos(stand.azimuth), 0];
  return {
    eye: add(stand.target, scale(back, stand.distance)),
    forward,
    right,
    up: cross(right, forward),
    focal: 1.35 * Math.min(width * 0.8, height),
    centre: [width / 2, height / 2],
    reach: stand.distance,
  };
}

/** The view of a calibrated camera (its axes and field of view), fitted into the screen. */
function viewThrough(camera, width, height) {
  const fit = Math.min(width / camera.size[0], height / camera.size[1]);
  return {
    eye: camera.center,
    forward: camera.forward,
    right: camera.right,
    up: scale(camera.down, -1),
    focal: camera.K[0][0] * fit,
    centre: [
      width / 2 + (camera.K[0][2] - camera.size[0] / 2) * fit,
      height / 2 + (camera.K[1][2] - camera.size[1] / 2) * fit,
    ],
    reach: 4,
  };
}

/** [x, y, depth]: the CSS pixel of a point and its depth in metres; null in front of the screen. */
export function onScreen(view, point) {
  const from = sub(point, view.eye);
  const depth = dot(from, view.forward);
  if (depth < NEAR_M) return null;
  const k = view.focal / depth;
  return [
    view.centre[0] + dot(from, view.right) * k,
    view.centre[1] - dot(from, view.up) * k,
    depth,
  ];
}

/** A segment on the screen, cut where it passes behind the reader; null if all of it is behind. */
export function segmentOnScreen(view, first, second) {
  const depths = [first, second].map((point) => dot(sub(point, view.eye), view.forward));
  if (depths[0] < NEAR_M && depths[1] < NEAR_M) return null;
  const cut = (behind, before, db, df) =>
    add(behind, scale(sub(before, behind), (NEAR_M * 1.01 - db) / (df - db)));
  const a = depths[0] < NEAR_M ? cut(first, second, depths[0], depths[1]) : first;
  const b = depths[1] < NEAR_M ? cut(second, first, depths[1], depths[0]) : second;
  const [pa, pb] = [onScreen(view, a), onScreen(view, b)];
  return pa && pb ? [pa, pb] : null;
}

/**
 * Lets pointer, wheel and keys move a standpoint; `changed` hears of every move.
 * Drag turns, Shift-drag or two fingers move, wheel or pinch zooms, arrows turn, 0 goes home.
 */
export function controls(canvas, stand, home, changed) {
  const pointers = new Map();
  const leave = () => {
    stand.through = null;
  };
  const moved = (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    leave();
    if (pointers.size === 2) pinch(stand, pointers, event.pointerId, now, canvas);
    else if (event.shiftKey || event.buttons === 2 || event.buttons === 4)
      pan(stand, dx, dy, canvas);
    else turn(stand, -dx * TURN_PER_PX, dy * TURN_PER_PX);
    pointers.set(event.pointerId, now);
    changed();
  };
  const release = (event) => pointers.delete(event.pointerId);
  const listeners = {
    pointerdown: (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
    },
    pointermove: moved,
    pointerup: release,
    pointercancel: release,
    contextmenu: (event) => event.preventDefault(),
    dblclick: () => glide(stand, home(), changed),
    wheel: (event) => {
      event.preventDefault();
      leave();
      zoom(stand, Math.exp(event.deltaY * 0.0012));
      changed();
    },
    keydown: (event) => {
      if (key(stand, event.key, home, changed)) event.preventDefault();
    },
  };
  for (const [name, listener] of Object.entries(listeners)) {
    canvas.addEventListener(name, listener, { passive: false });
  }
}

/** Moves smoothly to another standpoint, at once where the reader asked for less motion. */
export function glide(stand, to, changed) {
  stand.through = null;
  const from = { ...stand };
  const steps = Math.round((to.azimuth - from.azimuth) / (2 * Math.PI));
  const azimuth = to.azimuth - steps * 2 * Math.PI;
  const began = performance.now();
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const move = (now) => {
    const share = still ? 1 : Math.min(1, Math.max(0, (now - began) / GLIDE_MS));
    const eased = share * share * (3 - 2 * share);
    const between = (a, b) => a + (b - a) * eased;
    stand.azimuth = between(from.azimuth, azimuth);
    stand.elevation = between(from.elevation, to.elevation);
    stand.distance = between(from.distance, to.distance);
    stand.target = from.target.map((value, axis) => between(value, to.target[axis]));
    changed();
    if (share < 1) requestAnimationFrame(move);
  };
  requestAnimationFrame(move);
}

function key(stand, name, home, changed) {
  const turns = {
    ArrowLeft: [-KEY_TURN, 0],
    ArrowRight: [KEY_TURN, 0],
    ArrowUp: [0, KEY_TURN],
    ArrowDown: [0, -KEY_TURN],
  };
  if (turns[name]) turn(stand, ...turns[name]);
  else if (name === "+" || name === "=") zoom(stand, 1 / ZOOM_STEP);
  else if (name === "-") zoom(stand, ZOOM_STEP);
  else if (name === "0" || name === "Home") glide(stand, home(), changed);
  else return false;
  stand.through = null;
  changed();
  return true;
}

function turn(stand, azimuth, elevation) {
  stand.azimuth += azimuth;
  stand.elevation = Math.min(1.55, Math.max(-0.35, stand.elevation + elevation));
}

function zoom(stand, factor) {
  stand.distance = Math.min(60, Math.max(0.4, stand.distance * factor));
}

function pan(stand, dx, dy, canvas) {
  const view = viewFrom(stand, canvas.clientWidth, canvas.clientHeight);
  const perPx = stand.distance / view.focal;
  stand.target = add(
    stand.target,
    add(scale(view.right, -dx * perPx), scale(unit(view.up), dy * perPx)),
  );
}

function pinch(stand, pointers, moving, now, canvas) {
  const [id, other] = [...pointers].find(([key]) => key !== moving);
  const before = pointers.get(moving);
  const gap = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]) || 1;
  zoom(stand, gap(before, other) / gap(now, other));
  pan(stand, (now[0] - before[0]) / 2, (now[1] - before[1]) / 2, canvas);
  pointers.set(id, other);
}
