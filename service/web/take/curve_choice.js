// Which curve runs under a take beside reprojection error and presence.

import { h } from "../dom.js";
import { curveOf, curves, reprojectionOf, shareOf } from "./frames.js";

const FIRST_CURVE = "angle right knee";

/** A choice of curves; it fills the timeline and marks the joint in the scene. */
export function curveChoice(frames, ids, stage, timeline) {
  const all = curves();
  const lanes = ids.map((id) => ({ id, shares: curveOf(frames, id, shareOf) }));
  const reprojection = {
    label: "Reprojection\npx",
    unit: "px",
    decimals: 1,
    fromZero: true,
    curves: ids.map((id) => ({ id, values: curveOf(frames, id, reprojectionOf) })),
  };
  const choose = (key) => {
    const { group, label, unit, joint, of } = all[key];
    const decimals = unit === "°" ? 0 : 2;
    const row = {
      label: `${group}\n${label}\n${unit}`,
      unit,
      decimals,
      fromZero: group === "Speed",
      leastSpan: unit === "°" ? 20 : 0.2,
      curves: ids.map((id) => ({ id, values: of(frames, id, stage.scene.world.show) })),
    };
    timeline.set(frames, lanes, [reprojection, row]);
    stage.scene.set({ selected: joint });
  };
  choose(FIRST_CURVE);
  const groups = Map.groupBy(Object.entries(all), ([, curve]) => curve.group);
  return h(
    "label",
    { class: "row" },
    h("span", { class: "muted" }, "Curve"),
    h(
      "select",
      { on: { change: (event) => choose(event.target.value) } },
      [...groups].map(([group, entries]) =>
        h(
          "optgroup",
          { label: group },
          entries.map(([key, curve]) =>
            h("option", { value: key, selected: key === FIRST_CURVE }, curve.label),
          ),
        ),
      ),
    ),
  );
}
