// Numbers of the frame that is shown: who, how sure, how long each step took.

import { h, put } from "../dom.js";
import { fixed, percent, words } from "../format.js";
import { table } from "../parts.js";
import { JOINTS } from "../skeleton.js";
import { idColour } from "../theme.js";
import { mean } from "../vec.js";
import { reprojectionOf, shareOf } from "./frames.js";

const REASONS = {
  unseen: "no camera saw it",
  single_view: "one camera only",
  rejected: "the views disagree",
};

/** Puts the people of a frame into a root: a table, and each one's joints where they were open. */
export function showPeople(root, frame) {
  if (frame.people.length === 0) {
    const singles = Object.values(frame.singles).reduce((sum, list) => sum + list.length, 0);
    const why = singles
      ? `${singles} seen by a single camera each; a place in metres takes two.`
      : "No camera sees anybody.";
    return put(root, h("p", { class: "muted" }, `Nobody in 3D in this frame. ${why}`));
  }
  const rows = frame.people.map((person) => [
    h(
      "span",
      { class: "id", style: { "--id": idColour(person.id) } },
      person.id >= 0 ? person.id : "?",
    ),
    fixed(person.score, 2),
    percent(shareOf(person)),
    fixed(reprojectionOf(person), 1, "px"),
    fixed(mean(person.sigmas), 1, "mm"),
    String(Object.keys(person.views).length),
  ]);
  const open = new Set([...root.querySelectorAll("details[open]")].map((one) => one.dataset.id));
  return put(
    root,
    table("People in this frame", ["id", "score", "joints", "reprojection", "σ", "views"], rows),
    frame.people.map((person) => jointsOf(person, open.has(String(person.id)))),
  );
}

/** The joints of a person, filled in only while they are looked at: this is redone every frame. */
function jointsOf(person, open) {
  const details = h(
    "details",
    { open, data: { id: person.id } },
    h("summary", {}, `Joints of person ${person.id}`),
  );
  const fill = () => {
    if (details.open && details.children.length === 1) details.append(jointTable(person));
  };
  details.addEventListener("toggle", fill);
  fill();
  return details;
}

function jointTable(person) {
  const rows = JOINTS.map((name, joint) => {
    const position = person.positions[joint];
    const source = person.sources[joint];
    return [
      words(name),
      position
        ? position.map((value) => fixed(value, 2)).join("  ")
        : h("em", {}, REASONS[source] ?? words(source)),
      fixed(person.sigmas[joint], 1),
      fixed(person.reprojections[joint], 1),
      position && source !== "triangulated"
        ? h("em", {}, source)
        : String(person.viewCounts[joint] ?? ""),
    ];
  });
  return table(
    `Joints of person ${person.id}`,
    ["joint", "x y z, m", "σ, mm", "px", "views"],
    rows,
  );
}

/** Puts the time of each step of a frame into a root, as bars. */
export function showTimings(root, timings) {
  const steps = Object.entries(timings);
  const total = steps.reduce((sum, [, value]) => sum + value, 0);
  if (total === 0) return put(root);
  return put(
    root,
    h("h3", {}, `Time of this frame: ${fixed(total, 1, "ms")}`),
    h(
      "dl",
      { class: "bars" },
      steps.map(([name, value]) =>
        h(
          "div",
          { style: { "--share": value / total } },
          h("dt", {}, words(name)),
          h("dd", {}, fixed(value, 1, "ms")),
        ),
      ),
    ),
  );
}
