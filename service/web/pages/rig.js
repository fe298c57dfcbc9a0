// One rig: its cameras in space, the verdict, the numbers, its calibrations.

import { path, read, save, send } from "../api.js";
import { camerasOf } from "../cameras.js";
import { h, put } from "../dom.js";
import { dropPlace } from "../drop.js";
import { moment } from "../format.js";
import { empty, facts, gradeBadge, notice, problemCard, table, waiting } from "../parts.js";
import { cameraTable, distanceTable, rigScene, verdictCard } from "../rig_parts.js";

/** A rig. Returns what undoes it. */
export async function showRig(root, [name], signal) {
  waiting(root);
  const rig = await read(path.rig(name), { signal });
  const message = h("div", {});
  const again = () => showRig(root, [name], signal);
  if (rig.calibration === null) {
    put(
      root,
      headOf(rig),
      empty(
        "Not calibrated yet",
        "Film a chessboard with all cameras, or bring a calibration you have.",
        h("a", { class: "button", href: calibrateAddress(name) }, "Calibrate"),
      ),
      replaceCard(name, message, again),
      message,
      history(rig, message, again),
    );
    return null;
  }
  const cameras = camerasOf(rig);
  const scene = rigScene(cameras, rig.world);
  put(
    root,
    headOf(rig),
    h(
      "div",
      { class: "rig-top" },
      scene.element,
      h(
        "div",
        { class: "stack" },
        verdictCard(rig),
        h(
          "section",
          { class: "card" },
          h("h2", {}, "Distances"),
          h("p", { class: "muted" }, "Check one with a tape measure."),
          distanceTable(cameras),
        ),
      ),
    ),
    h("section", { class: "card" }, h("h2", {}, "Cameras"), cameraTable(cameras)),
    h("div", { class: "columns" }, history(rig, message, again), replaceCard(name, message, again)),
    message,
  );
  return () => scene.close();
}

function headOf(rig) {
  const address = path.rigFile(rig.name);
  const get = async (event) => {
    event.preventDefault();
    await save(address, `${rig.name}.yaml`).catch((error) => notice(error.message, "bad"));
  };
  return h(
    "header",
    { class: "head" },
    h("p", { class: "crumb" }, h("a", { href: "#/rigs" }, "Rigs")),
    h(
      "div",
      { class: "row spread" },
      h("h1", {}, rig.name),
      h(
        "p",
        { class: "row" },
        rig.calibration &&
          h(
            "a",
            { class: "button", href: address, download: `${rig.name}.yaml`, on: { click: get } },
            "rig.yaml",
          ),
        h(
          "a",
          { class: "button primary", href: calibrateAddress(rig.name) },
          rig.calibration ? "Calibrate again" : "Calibrate",
        ),
      ),
    ),
    facts([
      ["Kind", rig.kind],
      ["Cameras", rig.camera_names.length || null],
      ["Calibration", rig.calibration],
      ["Made", moment(rig.created)],
    ]),
  );
}

function calibrateAddress(name) {
  return `#/rigs/${encodeURIComponent(name)}/calibrate`;
}

/** The calibrations of a rig, newest first, each of which can be put in force; and its open jobs. */
function history(rig, message, again) {
  const activate = async (id) => {
    try {
      await send("POST", path.activate(id));
      notice(`Calibration ${id} is in force.`);
      await again();
    } catch (error) {
      put(message, problemCard(error));
    }
  };
  const rows = [...rig.calibrations]
    .reverse()
    .map((one) => [
      one.id,
      one.origin,
      gradeBadge(one.grade ?? "imported"),
      moment(one.created),
      one.id === rig.calibration
        ? "in force"
        : h(
            "button",
            { type: "button", class: "quiet", on: { click: () => activate(one.id) } },
            "Put in force",
          ),
    ]);
  const jobs = rig.jobs.filter((job) => job.state !== "done").reverse();
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Calibrations"),
    rows.length
      ? table("Calibrations", ["id", "origin", "verdict", "made", "in force"], rows)
      : h("p", { class: "muted" }, "None yet."),
    jobs.length > 0 &&
      h(
        "ul",
        { class: "plain" },
        jobs.map((job) =>
          h(
            "li",
            {},
            h("a", { href: `#/jobs/${job.id}` }, `Job ${job.state}, ${moment(job.created)}`),
          ),
        ),
      ),
  );
}

function replaceCard(name, message, again) {
  const bring = async ([{ file }]) => {
    try {
      await send("PUT", path.rigFile(name), file, {
        headers: { "Content-Type": "application/octet-stream" },
      });
      notice(`${file.name} is now the calibration of ${name}.`);
      await again();
    } catch (error) {
      put(message, problemCard(error));
      message.scrollIntoView({ block: "nearest" });
    }
  };
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Bring a calibration"),
    h("p", { class: "muted" }, "It becomes the one in force; earlier ones are kept."),
    dropPlace({
      title: "Drop a rig file, or choose one",
      hint: "Quadglass YAML, OpenCV YAML, XML or JSON, Qualisys .qca.txt",
      accept: ".yaml,.yml,.xml,.json,.txt,.qca",
      onFiles: bring,
    }),
  );
}
