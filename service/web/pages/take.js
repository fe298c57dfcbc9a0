// One take: views and 3D scene in step, quality over time, numbers, downloads.

import { hasKey, path, read, save } from "../api.js";
import { camerasOf } from "../cameras.js";
import { h, put } from "../dom.js";
import { clock, fixed, moment, percent, plural } from "../format.js";
import { empty, facts, notice, waiting } from "../parts.js";
import { curveOf, curves, framesFrom, idsOf, reprojectionOf, shareOf, summary } from "../take/frames.js";
import { showPeople, showTimings } from "../take/panel.js";
import { Pictures } from "../take/pictures.js";
import { Stage, stageSwitches } from "../take/stage.js";
import { Timeline } from "../take/timeline.js";
import { Transport } from "../take/transport.js";

const PAGE_FRAMES = 500;
const FIRST_CURVE = "angle right knee";
const FORMAT_NOTES = {
  trc: "for OpenSim and other motion software, y up",
  csv: "a table for spreadsheets and scripts",
  json: "everything, as the service answers",
  c3d: "for gait laboratories",
  bvh: "for animation, y up",
  glb: "for 3D programs, y up",
};

/** A take, loaded whole. Returns what undoes it. */
export async function showTake(root, [name], signal) {
  waiting(root);
  const capture = await read(path.capture(name), { signal });
  const [rig, results] = await Promise.all([read(path.calibration(capture.calibration), { signal }), allFrames(name, root, signal)]);
  const frames = framesFrom(results);
  const heading = headOf(name, capture, frames);
  if (frames.length === 0) {
    put(root, heading, empty("No frame yet", "Post frames with this capture's name; they appear here."));
    return null;
  }
  const take = makeTake(name, capture, rig, frames);
  put(root, heading, take.elements);
  take.start();
  const onKey = (event) => {
    const busy = event.target.closest?.("input, select, textarea, canvas, button, summary, a, dialog");
    if (!busy && !event.ctrlKey && !event.metaKey && take.transport.key(event)) event.preventDefault();
  };
  document.addEventListener("keydown", onKey);
  return () => {
    document.removeEventListener("keydown", onKey);
    take.close();
  };
}

function makeTake(name, capture, rig, frames) {
  const cameras = camerasOf(rig);
  const stage = new Stage(cameras, frames, rig.world);
  const pictures = new Pictures(frames, cameras.map((camera) => camera.name), (sequence, camera) =>
    path.picture(name, sequence, camera));
  const people = h("div", {});
  const timings = h("div", {});
  const ids = idsOf(frames);
  const show = newestOnly(async (index) => {
    pictures.ahead(index);
    const images = await pictures.of(index);
    stage.show(index, images);
    timeline.show(index);
    transport.tell(index);
    showPeople(people, frames[index]);
    showTimings(timings, frames[index].timings);
  });
  const transport = new Transport(frames, show);
  const timeline = new Timeline((index) => transport.scrub(index));
  const choice = curveChoice(frames, ids, stage, timeline);
  return {
    transport,
    elements: [
      stage.element,
      transport.element,
      stageSwitches(stage),
      h("section", { class: "card quality" },
        h("header", { class: "row spread" }, h("h2", {}, "Over time"), choice), timeline.element),
      h("div", { class: "columns" },
        h("section", { class: "card" }, h("h2", {}, "This frame"), people, timings),
        downloads(name, capture.formats, stage.estimated)),
    ],
    start: () => show(0),
    close: () => {
      transport.close();
      stage.close();
      timeline.close();
    },
  };
}

/**
 * The same call, one at a time: what comes while one is under way waits, and only the newest of
 * those is done. So a player that is faster than the pictures drops frames, and nothing is shown
 * that is not of one frame.
 */
function newestOnly(call) {
  let [busy, waitingIndex] = [false, null];
  const run = async (index) => {
    waitingIndex = index;
    if (busy) return;
    busy = true;
    while (waitingIndex !== null) {
      const next = waitingIndex;
      waitingIndex = null;
      await call(next);
    }
    busy = false;
  };
  return run;
}

function curveChoice(frames, ids, stage, timeline) {
  const all = curves();
  const lanes = ids.map((id) => ({ id, shares: curveOf(frames, id, shareOf) }));
  const reprojection = {
    label: "Reprojection\npx", unit: "px", decimals: 1, fromZero: true,
    curves: ids.map((id) => ({ id, values: curveOf(frames, id, reprojectionOf) })),
  };
  const choose = (key) => {
    const { group, label, unit, joint, of } = all[key];
    const decimals = unit === "°" ? 0 : 2;
    const row = {
      label: `${group}\n${label}\n${unit}`, unit, decimals, fromZero: group === "Speed", leastSpan: unit === "°" ? 20 : 0.2,
      curves: ids.map((id) => ({ id, values: of(frames, id, stage.scene.world.show) })),
    };
    timeline.set(frames, lanes, [reprojection, row]);
    stage.scene.set({ selected: joint });
  };
  choose(FIRST_CURVE);
  const groups = Map.groupBy(Object.entries(all), ([, curve]) => curve.group);
  return h("label", { class: "row" }, h("span", { class: "muted" }, "Curve"),
    h("select", { on: { change: (event) => choose(event.target.value) } },
      [...groups].map(([group, entries]) => h("optgroup", { label: group }, entries.map(([key, curve]) =>
        h("option", { value: key, selected: key === FIRST_CURVE }, curve.label))))));
}

function headOf(name, capture, frames) {
  const sums = summary(frames);
  return h("header", { class: "head" },
    h("p", { class: "crumb" }, h("a", { href: "#/takes" }, "Takes")),
    h("h1", {}, name),
    facts([
      ["Rig", h("a", { href: `#/rigs/${encodeURIComponent(capture.rig)}` }, capture.rig)],
      ["Frames", `${sums.frames}`],
      ["Length", frames.length ? `${clock(sums.seconds)}${sums.rate ? ` at ${fixed(sums.rate, 1)} Hz` : ""}` : null],
      ["People", frames.length ? plural(sums.people, "identity", "identities") : null],
      ["Somebody in 3D", frames.length ? percent(sums.found) : null],
      ["Reprojection", frames.length ? fixed(sums.reprojection, 1, "px") : null],
      ["σ", frames.length ? fixed(sums.sigma, 1, "mm") : null],
      ["Model", frames[0]?.model.name],
      ["Recorded", moment(capture.created)],
    ]));
}

function downloads(name, formats, estimated) {
  const link = (format) => {
    const address = path.download(name, format);
    const get = async (event) => {
      if (!hasKey()) return;
      event.preventDefault();
      try {
        await save(address, `${name}.${format}`);
      } catch (error) {
        notice(error.message, "bad");
      }
    };
    return h("li", {},
      h("a", { class: "button", href: address, download: `${name}.${format}`, on: { click: get } }, format.toUpperCase()),
      h("span", { class: "muted" }, FORMAT_NOTES[format] ?? ""));
  };
  return h("section", { class: "card" },
    h("h2", {}, "Downloads"),
    h("ul", { class: "downloads" }, formats.map(link)),
    estimated && h("p", { class: "muted" },
      "This rig's world does not stand on the floor. The scene guesses the floor from the cameras and the lowest joints; the files keep the rig's own axes."),
    h("h3", {}, "Keys"),
    h("p", { class: "muted" }, h("kbd", {}, "Space"), " plays, ", h("kbd", {}, "←"), " ", h("kbd", {}, "→"),
      " step, with ", h("kbd", {}, "Shift"), " ten. In the scene: drag turns, ", h("kbd", {}, "Shift"),
      "-drag moves, wheel zooms, double click looks from the start."));
}

/** All results of a capture, fetched in pages; the root shows how far it is. */
async function allFrames(name, root, signal) {
  const results = [];
  for (let from = 0; from !== null; ) {
    const page = await read(`${path.frames(name)}?from=${from}&limit=${PAGE_FRAMES}`, { signal });
    results.push(...page.frames);
    from = page.next;
    if (from !== null) waiting(root, `Loading frames: ${results.length} of ${page.total}`);
  }
  return results;
}
