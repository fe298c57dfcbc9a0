// Another name for a take, or its end.

import { path, send } from "../api.js";
import { askName, askWhether } from "../ask.js";
import { h } from "../dom.js";
import { plural } from "../format.js";
import { notice } from "../parts.js";

/** The two buttons; both ask first, and lead to where the take, or the rest, is then. */
export function takeChanges(name, frames) {
  const rename = async () => {
    const question = { title: `Rename ${name}`, label: "New name", value: name, button: "Rename" };
    const chosen = await askName(question, (text) =>
      send("PATCH", path.capture(name), JSON.stringify({ name: text }), {
        headers: { "Content-Type": "application/json" },
      }),
    );
    if (chosen === null || chosen === name) return;
    notice(`${name} is now called ${chosen}.`);
    location.hash = `#/takes/${encodeURIComponent(chosen)}`;
  };
  const remove = async () => {
    const question = {
      title: `Delete ${name}?`,
      text: `${plural(frames, "frame")} and the pictures kept of them are removed from the disk. This cannot be undone; export first what you want to keep.`,
      button: "Delete for good",
    };
    if (!(await askWhether(question, () => send("DELETE", path.capture(name))))) return;
    notice(`${name} is deleted.`);
    location.hash = "#/takes";
  };
  return h(
    "p",
    { class: "row" },
    h("button", { type: "button", class: "quiet", on: { click: rename } }, "Rename…"),
    h("button", { type: "button", class: "quiet", on: { click: remove } }, "Delete…"),
  );
}
