// How the cameras of a running capture fare: a line each, and what to do about those that drift.

import { h, put } from "../dom.js";
import { fixed } from "../format.js";
import { table } from "../parts.js";

const SILENT_MS = 2000;

/** A card; `note` each result, `show` what the service says of drift. */
export class Health {
  constructor(cameras) {
    this.cameras = cameras;
    this.seen = new Map();
    this.health = null;
    this.element = h("section", { class: "card" });
  }

  /** Takes which views a result had. */
  note(result, now = performance.now()) {
    for (const { name } of this.cameras) {
      if (!result.posted || result.posted.includes(name)) {
        const before = this.seen.get(name) ?? { count: 0 };
        this.seen.set(name, { count: before.count + 1, at: now });
      }
    }
    this.moments = (this.moments ?? 0) + 1;
  }

  /** Draws the card from the capture's JSON (its `health`). */
  show(health, now = performance.now()) {
    this.health = health ?? this.health;
    const rows = this.cameras.map(({ name }) => {
      const { count = 0, at = -Infinity } = this.seen.get(name) ?? {};
      const known = this.health?.cameras?.[name];
      const state = known?.drifts ? "drifts" : now - at > SILENT_MS ? "silent" : "fine";
      return [
        name,
        h("span", { class: `badge ${{ fine: "good", silent: "usable", drifts: "bad" }[state]}` }, state),
        this.moments ? `${Math.round((100 * count) / this.moments)} %` : "–",
        fixed(known?.residual_px ?? null, 1, "px"),
      ];
    });
    put(
      this.element,
      h("h2", {}, "Cameras"),
      table("Cameras", ["camera", "state", "moments with it", "usual residual"], rows),
      (this.health?.findings ?? []).map((finding) =>
        h("p", { class: "warning" }, `${finding.message}; ${finding.fix}`),
      ),
    );
  }
}
