// A take as the page works with it: results (docs/api.md) made even, and curves over time.

import { ANGLES, JOINTS } from "../skeleton.js";
import { angleDeg, length, mean, sub } from "../vec.js";

/** The frames of a take in order, times in seconds from the first. */
export function framesFrom(results) {
  const ordered = [...results].sort((a, b) => a.sequence - b.sequence);
  const start = ordered[0]?.timestamp_ns ?? 0;
  return ordered.map((result) => ({
    sequence: result.sequence,
    posted: result.posted ?? null, // cameras that have a picture; results of old do not tell
    seconds: (result.timestamp_ns - start) / 1e9,
    people: result.people.map(personFrom),
    singles: result.single_view ?? {},
    timings: result.timings_ms ?? {},
    model: result.model ?? {},
  }));
}

/** A person with one entry a joint, in COCO-17's order; null where there is nothing. */
export function personFrom(person) {
  const byName = new Map(person.joints.map((joint) => [joint.name, joint]));
  const column = (pick) =>
    JOINTS.map((name) => (byName.has(name) ? pick(byName.get(name)) : null) ?? null);
  return {
    id: person.id,
    score: person.score,
    positions: column((joint) => joint.position),
    sigmas: column((joint) => joint.sigma_mm),
    reprojections: column((joint) => joint.reprojection_px),
    viewCounts: column((joint) => joint.views),
    sources: column((joint) => joint.source).map((source) => source ?? "unseen"),
    views: person.views ?? {},
  };
}

/** All identities of a take, in order. */
export function idsOf(frames) {
  const ids = new Set(frames.flatMap((frame) => frame.people.map((person) => person.id)));
  return [...ids].sort((a, b) => a - b);
}

/** The curve of a person: one number a frame, null where there is none. */
export function curveOf(frames, id, measure) {
  return frames.map((frame, index) => {
    const person = frame.people.find((one) => one.id === id);
    return person ? measure(person, index) : null;
  });
}

/** Mean reprojection error of a person's joints in pixels. */
export const reprojectionOf = (person) => mean(person.reprojections);

/** The share of joints that have a position. */
export const shareOf = (person) => person.positions.filter(Boolean).length / JOINTS.length;

/** What can be drawn as a curve: {key: {label, unit, joint, of(frames, id)}}. */
export function curves() {
  const all = {};
  for (const [name, [a, b, c]] of Object.entries(ANGLES)) {
    const measure = ({ positions: p }) =>
      p[a] && p[b] && p[c] ? angleDeg(p[a], p[b], p[c]) : null;
    all[`angle ${name}`] = {
      group: "Angle",
      label: name,
      unit: "°",
      joint: b,
      of: (frames, id) => curveOf(frames, id, measure),
    };
  }
  JOINTS.forEach((name, joint) => {
    const label = name.replace("_", " ");
    all[`height ${name}`] = {
      group: "Height",
      label,
      unit: "m",
      joint,
      of: (frames, id, show) =>
        curveOf(frames, id, ({ positions }) =>
          positions[joint] ? show(positions[joint])[2] : null,
        ),
    };
    all[`speed ${name}`] = {
      group: "Speed",
      label,
      unit: "m/s",
      joint,
      of: (frames, id) => speeds(frames, id, joint),
    };
  });
  return all;
}

/** Speeds in m/s by central differences; null at gaps and ends. */
function speeds(frames, id, joint) {
  const places = curveOf(frames, id, (person) => person.positions[joint]);
  return places.map((_, index) => {
    const [before, after] = [places[index - 1], places[index + 1]];
    if (!before || !after) return null;
    return length(sub(after, before)) / (frames[index + 1].seconds - frames[index - 1].seconds);
  });
}

/** The numbers above a take: frames, seconds, rate, share of frames with somebody, mean error. */
export function summary(frames) {
  const seconds = frames.length > 1 ? frames.at(-1).seconds : 0;
  return {
    frames: frames.length,
    seconds,
    rate: seconds > 0 ? (frames.length - 1) / seconds : null,
    people: idsOf(frames).length,
    found: frames.filter((frame) => frame.people.length > 0).length / (frames.length || 1),
    reprojection: mean(frames.flatMap((frame) => frame.people.map(reprojectionOf))),
    sigma: mean(frames.flatMap((frame) => frame.people.map((person) => mean(person.sigmas)))),
  };
}
