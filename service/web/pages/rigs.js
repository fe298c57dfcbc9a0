// All rigs, and the place to bring one's own calibration.

import { path, read, send } from "../api.js";
import { h, put } from "../dom.js";
import { dropPlace } from "../drop.js";
import { moment, plural } from "../format.js";
import { safeName, stem } from "../names.js";
import { empty, gradeBadge, notice, problemCard, waiting } from "../parts.js";
import { rigPlan } from "../thumbnails.js";

/** The list of rigs, and a drop place for rig files. */
export async function showRigs(root, _names, signal) {
  waiting(root);
  const { rigs } = await read(path.rigs(), { signal });
  const message = h("div", {});
  put(
    root,
    h(
      "header",
      { class: "head" },
      h("h1", {}, "Rigs"),
      h("p", { class: "muted" }, "Cameras that stand still and were calibrated together."),
    ),
    rigs.length
      ? h(
          "ul",
          { class: "cards" },
          rigs.map((rig) => card(rig, signal)),
        )
      : empty(
          "No rig yet",
          "Bring a calibration you have, or film a chessboard and calibrate here.",
        ),
    h("div", { class: "columns" }, bringCard(message), newCard(message)),
    message,
  );
}

function tell(message, error) {
  put(message, problemCard(error)).scrollIntoView({ block: "nearest" });
}

function card(rig, signal) {
  return h(
    "li",
    {},
    h(
      "a",
      { class: "card link", href: `#/rigs/${encodeURIComponent(rig.name)}` },
      h("h2", {}, rig.name),
      rig.calibration && rigPlan(rig.name, signal),
      h("p", {}, gradeBadge(rig.calibration ? (rig.grade ?? "imported") : null)),
      h(
        "p",
        { class: "row muted" },
        h("span", {}, rig.kind),
        rig.camera_names.length > 0 && h("span", {}, plural(rig.camera_names.length, "camera")),
        h("span", {}, moment(rig.created)),
      ),
    ),
  );
}

function bringCard(message) {
  const name = h("input", {
    id: "bring-name",
    placeholder: "taken from the file",
    pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}",
  });
  const bring = async ([{ file }]) => {
    const rig = safeName(name.value || stem(file.name));
    try {
      await send("PUT", path.rigFile(rig), file, {
        headers: { "Content-Type": "application/octet-stream" },
      });
      notice(`${file.name} is now the calibration of rig ${rig}.`);
      location.hash = `#/rigs/${encodeURIComponent(rig)}`;
    } catch (error) {
      tell(message, error);
    }
  };
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Bring a calibration"),
    h("label", { for: "bring-name" }, "Name of the rig"),
    name,
    dropPlace({
      title: "Drop a rig file, or choose one",
      hint: "Quadglass YAML, OpenCV YAML, XML or JSON, Qualisys .qca.txt",
      accept: ".yaml,.yml,.xml,.json,.txt,.qca",
      onFiles: bring,
    }),
  );
}

function newCard(message) {
  const name = h("input", {
    id: "new-name",
    required: true,
    pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}",
    placeholder: "studio",
  });
  const kind = h(
    "select",
    { id: "new-kind" },
    [
      ["quad", "four cameras"],
      ["stereo", "stereo pair"],
      ["multi", "2 to 16 cameras"],
    ].map(([value, label]) => h("option", { value }, label)),
  );
  const submit = async (event) => {
    event.preventDefault();
    try {
      await send("POST", path.rigs(), JSON.stringify({ name: name.value, kind: kind.value }), {
        headers: { "Content-Type": "application/json" },
      });
      location.hash = `#/rigs/${encodeURIComponent(name.value)}/calibrate`;
    } catch (error) {
      tell(message, error);
    }
  };
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Calibrate a new rig"),
    h("p", { class: "muted" }, "From pictures or videos of a chessboard that all cameras see."),
    h(
      "form",
      { class: "form", on: { submit } },
      h("label", { for: "new-name" }, "Name of the rig"),
      name,
      h("label", { for: "new-kind" }, "Kind"),
      kind,
      h("button", { type: "submit", class: "primary" }, "Go on to the board"),
    ),
  );
}
