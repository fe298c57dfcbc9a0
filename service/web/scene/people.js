// People in the 3D scene: limbs as shaded capsules, a head, the trunk, ids and trails.

import { BONES, HEAD, HIPS, LIMB_ENDS, SHOULDERS, TORSO, middle, sideOfBone } from "../skeleton.js";
import { faded, idColour, mix } from "../theme.js";
import { quantile } from "../vec.js";
import { drawShadow } from "./floor.js";
import { onScreen } from "./orbit.js";

const HEAD_RADIUS_M = 0.1;
const RADIUS_M = { arm: 0.032, leg: 0.044, trunk: 0.03 };
const FIRST_LEG_JOINT = 11;
const SIGMAS_SHOWN = 3;

/** The capsules of a person: {from, to, radius, side, filled}; joints without a place leave gaps. */
export function capsulesOf(positions, sources) {
  const capsules = [];
  for (const bone of BONES) {
    const [first, second] = bone;
    if (HEAD.includes(second) || !positions[first] || !positions[second]) continue;
    const trunk =
      sideOfBone(bone) === "middle" || (SHOULDERS.includes(first) && HIPS.includes(second));
    const kind = trunk ? "trunk" : first >= FIRST_LEG_JOINT ? "leg" : "arm";
    const filled = sources[first] !== "triangulated" || sources[second] !== "triangulated";
    capsules.push({
      from: positions[first],
      to: positions[second],
      radius: RADIUS_M[kind],
      side: sideOfBone(bone),
      filled,
    });
  }
  const [neck, head] = [middle(positions, SHOULDERS), middle(positions, HEAD)];
  if (neck && head) {
    capsules.push({ from: neck, to: head, radius: RADIUS_M.trunk, side: "middle", filled: false });
  }
  return capsules;
}

/** Draws the shadows of all people; the floor must be drawn, the people not yet. */
export function drawShadows(context, view, people, colours) {
  for (const person of people) {
    for (const { from, to, radius } of capsulesOf(person.positions, person.sources)) {
      drawShadow(context, view, from, to, radius, colours.dark);
    }
    const head = middle(person.positions, HEAD);
    if (head) drawShadow(context, view, head, head, HEAD_RADIUS_M, colours.dark);
  }
}

/** What to draw of a person, each with its depth, for painting from far to near. */
export function personShapes(view, person, colours, { sigma, selected }) {
  const base = idColour(person.id);
  const shapes = [];
  const tint = (side, depth) => {
    const sided = side === "right" ? mixHex(base, "#000000", 0.28) : base;
    const haze = Math.min(0.45, Math.max(0, (depth - view.reach) / (view.reach * 3)));
    return mix(sided, colours.fog, haze);
  };
  for (const capsule of capsulesOf(person.positions, person.sources)) {
    const [a, b] = [onScreen(view, capsule.from), onScreen(view, capsule.to)];
    if (!a || !b) continue;
    const depth = (a[2] + b[2]) / 2;
    const colour = tint(capsule.side, depth);
    shapes.push({ depth, draw: (context) => drawCapsule(context, view, a, b, capsule, colour) });
  }
  const corners = TORSO.map(
    (joint) => person.positions[joint] && onScreen(view, person.positions[joint]),
  );
  if (corners.every(Boolean)) {
    const depth = corners.reduce((sum, corner) => sum + corner[2], 0) / 4 + 0.03;
    shapes.push({ depth, draw: (context) => drawTrunk(context, corners, faded(base, 0.28)) });
  }
  const head = middle(person.positions, HEAD);
  const onView = head && onScreen(view, head);
  if (onView) {
    const nose = person.positions[0] && onScreen(view, person.positions[0]);
    const colour = tint("middle", onView[2]);
    shapes.push({
      depth: onView[2],
      draw: (context) => drawHead(context, view, onView, nose, colour),
    });
  }
  if (sigma || selected !== null) shapes.push(...jointShapes(view, person, base, sigma, selected));
  return shapes;
}

function jointShapes(view, person, base, sigma, selected) {
  const shapes = [];
  person.positions.forEach((position, joint) => {
    const at = position && onScreen(view, position);
    if (!at) return;
    const k = view.focal / at[2];
    if (sigma && Number.isFinite(person.sigmas[joint])) {
      const radius = Math.max(2, (person.sigmas[joint] / 1000) * SIGMAS_SHOWN * k);
      shapes.push({ depth: at[2] - 0.1, draw: (context) => ring(context, at, radius, base, true) });
    }
    if (joint === selected) {
      shapes.push({
        depth: at[2] - 0.2,
        draw: (context) => ring(context, at, 0.075 * k, base, false),
      });
    }
  });
  return shapes;
}

function ring(context, at, radius, colour, filled) {
  context.beginPath();
  context.arc(at[0], at[1], radius, 0, 2 * Math.PI);
  context.strokeStyle = faded(colour, 0.95);
  context.lineWidth = 1.25;
  context.stroke();
  if (!filled) return;
  context.fillStyle = faded(colour, 0.22);
  context.fill();
}

function drawCapsule(context, view, a, b, capsule, colour) {
  const width = Math.max(1.5, (2 * capsule.radius * view.focal) / ((a[2] + b[2]) / 2));
  context.lineCap = "round";
  context.setLineDash(capsule.filled ? [width * 0.1, width * 1.3] : []);
  line(context, a, b, "rgba(0,0,0,0.35)", width + 1.6, 0);
  line(context, a, b, colour, width, 0);
  if (width > 4) line(context, a, b, "rgba(255,255,255,0.28)", width * 0.32, -width * 0.16);
  context.setLineDash([]);
}

function line(context, a, b, colour, width, shift) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(a[0] + shift, a[1] + shift);
  context.lineTo(b[0] + shift, b[1] + shift);
  context.stroke();
}

function drawTrunk(context, corners, colour) {
  context.fillStyle = colour;
  context.beginPath();
  corners.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.fill();
}

function drawHead(context, view, at, nose, colour) {
  const radius = Math.max(2, (HEAD_RADIUS_M * view.focal) / at[2]);
  const shine = context.createRadialGradient(
    at[0] - radius * 0.35,
    at[1] - radius * 0.4,
    radius * 0.1,
    at[0],
    at[1],
    radius,
  );
  shine.addColorStop(0, "rgba(255,255,255,0.55)");
  shine.addColorStop(0.45, "rgba(255,255,255,0)");
  shine.addColorStop(1, "rgba(0,0,0,0.28)");
  for (const fill of [colour, shine]) {
    context.fillStyle = fill;
    context.beginPath();
    context.arc(at[0], at[1], radius, 0, 2 * Math.PI);
    context.fill();
  }
  if (nose && nose[2] < at[2]) {
    context.fillStyle = "rgba(0,0,0,0.4)";
    context.beginPath();
    context.arc(nose[0], nose[1], Math.max(1, radius * 0.16), 0, 2 * Math.PI);
    context.fill();
  }
}

/** Draws the id above a person's head. */
export function drawName(context, view, person, colours) {
  const joints = person.positions.filter(Boolean);
  if (joints.length === 0) return;
  const top = quantile(
    joints.map((joint) => joint[2]),
    1,
  );
  const [x, y] = [0, 1].map((axis) =>
    quantile(
      joints.map((joint) => joint[axis]),
      0.5,
    ),
  );
  const at = onScreen(view, [x, y, top + 0.22]);
  if (!at) return;
  const text = person.id >= 0 ? `${person.id}` : "?";
  context.font = "600 12px system-ui, sans-serif";
  const width = context.measureText(text).width + 14;
  context.fillStyle = idColour(person.id);
  context.beginPath();
  context.roundRect(at[0] - width / 2, at[1] - 10, width, 19, 9.5);
  context.fill();
  context.fillStyle = colours.dark ? "#0b1016" : "#ffffff";
  context.textAlign = "center";
  context.fillText(text, at[0], at[1] + 4);
  context.textAlign = "left";
}

/** The points whose way through time is worth a line: middle of the hips, hands and feet. */
export function trailPoints(positions) {
  return [middle(positions, HIPS), ...LIMB_ENDS.map((joint) => positions[joint])];
}

/**
 * Draws where people came from, fading into the past.
 *
 * history: [{id, points: [position or null, ...]}, ...] a frame, oldest frame first.
 */
export function drawTrails(context, view, history) {
  context.lineCap = "round";
  for (let index = 1; index < history.length; index += 1) {
    const age = index / history.length;
    for (const { id, points } of history[index]) {
      const before = history[index - 1].find((person) => person.id === id);
      points.forEach((point, which) => {
        const a = before?.points[which] && onScreen(view, before.points[which]);
        const b = point && onScreen(view, point);
        if (!a || !b) return;
        line(
          context,
          a,
          b,
          faded(idColour(id), (0.75 * age ** 1.5).toFixed(3)),
          which ? 1.2 : 2.2,
          0,
        );
      });
    }
  }
}

function mixHex(colour, other, share) {
  const [, ...parts] = mix(colour, other, share).match(/rgb\((\d+),(\d+),(\d+)\)/);
  return `#${parts.map((value) => Number(value).toString(16).padStart(2, "0")).join("")}`;
}
