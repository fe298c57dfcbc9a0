// The files of a take, and the keys of its page.

import { path, save } from "../api.js";
import { h } from "../dom.js";
import { notice } from "../parts.js";

const FORMAT_NOTES = {
  trc: "for OpenSim and other motion software, y up",
  csv: "a table for spreadsheets and scripts",
  json: "everything, as the service answers",
  c3d: "for gait laboratories and motion software",
  bvh: "for animation, y up",
  glb: "an animated skeleton for 3D programs, y up",
  openpose: "2D joints a view and frame, as OpenPose writes them",
  coco: "2D joints of every view, as COCO keypoints",
};

/** A card with a link for each format that the service writes. */
export function downloads(name, formats, estimated) {
  const link = (format) => {
    const address = path.download(name, format);
    const get = async (event) => {
      // Fetched, not followed: so a key goes along, and a refusal is told here.
      event.preventDefault();
      try {
        await save(address, `${name}.${format}`);
      } catch (error) {
        notice(error.message, "bad");
      }
    };
    return h(
      "li",
      {},
      h(
        "a",
        { class: "button", href: address, download: `${name}.${format}`, on: { click: get } },
        format.toUpperCase(),
      ),
      h("span", { class: "muted" }, FORMAT_NOTES[format] ?? ""),
    );
  };
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Downloads"),
    h("ul", { class: "downloads" }, formats.map(link)),
    estimated &&
      h(
        "p",
        { class: "muted" },
        "This rig's world does not stand on the floor. The scene guesses the floor from the cameras and the lowest joints; the files keep the rig's own axes.",
      ),
    h("h3", {}, "Keys"),
    h(
      "p",
      { class: "muted" },
      h("kbd", {}, "Space"),
      " plays, ",
      h("kbd", {}, "←"),
      " ",
      h("kbd", {}, "→"),
      " step, with ",
      h("kbd", {}, "Shift"),
      " ten. In the scene: drag turns, ",
      h("kbd", {}, "Shift"),
      "-drag moves, wheel zooms, double click looks from the start.",
    ),
  );
}
