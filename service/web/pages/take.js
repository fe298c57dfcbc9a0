// One take: views and 3D scene in step, quality over time, numbers, downloads.

import { path, read } from "../api.js";
import { camerasOf } from "../cameras.js";
import { h, put } from "../dom.js";
import { clock, fixed, moment, percent, plural } from "../format.js";
import { empty, facts, waiting } from "../parts.js";
import { takeChanges } from "../take/changes.js";
import { curveChoice } from "../take/curve_choice.js";
import { downloads } from "../take/downloads.js";
import { framesFrom, idsOf, summary } from "../take/frames.js";
import { showPeople, showTimings } from "../take/panel.js";
import { Pictures } from "../take/pictures.js";
import { Stage, stageSwitches } from "../take/stage.js";
import { Timeline } from "../take/timeline.js";
import { Transport } from "../take/transport.js";

const PAGE_FRAMES = 500;

/** A take, loaded whole. Returns what undoes it. */
export async function showTake(root, [name], signal) {
  waiting(root);
  const capture = await read(path.capture(name), { signal });
  const [rig, results] = await Promise.all([
    read(path.calibration(capture.calibration), { signal }),
    allFrames(name, root, signal),
  ]);
  const frames = framesFrom(results);
  const heading = headOf(name, capture, frames);
  if (frames.length === 0) {
    put(
      root,
      heading,
      empty("No frame yet", "Post frames with this capture's name; they appear here."),
    );
    return null;
  }
  const take = makeTake(name, capture, rig, frames);
  put(root, heading, take.elements);
  take.start();
  const onKey = (event) => {
    const busy = event.target.closest?.(
      "input, select, textarea, canvas, button, summary, a, dialog",
    );
    if (!busy && !event.ctrlKey && !event.metaKey && take.transport.key(event))
      event.preventDefault();
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
  const pictures = new Pictures(
    frames,
    cameras.map((camera) => camera.name),
    (sequence, camera) => path.picture(name, sequence, camera),
  );
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
      h(
        "section",
        { class: "card quality" },
        h("header", { class: "row spread" }, h("h2", {}, "Over time"), choice),
        timeline.element,
      ),
      h(
        "div",
        { class: "columns" },
        h("section", { class: "card" }, h("h2", {}, "This frame"), people, timings),
        downloads(name, capture.formats, stage.estimated),
      ),
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

function headOf(name, capture, frames) {
  const sums = summary(frames);
  return h(
    "header",
    { class: "head" },
    h("p", { class: "crumb" }, h("a", { href: "#/takes" }, "Takes")),
    h("h1", {}, name),
    facts([
      ["Rig", h("a", { href: `#/rigs/${encodeURIComponent(capture.rig)}` }, capture.rig)],
      ["Frames", `${sums.frames}`],
      [
        "Length",
        frames.length
          ? `${clock(sums.seconds)}${sums.rate ? ` at ${fixed(sums.rate, 1)} Hz` : ""}`
          : null,
      ],
      ["People", frames.length ? plural(sums.people, "identity", "identities") : null],
      ["Somebody in 3D", frames.length ? percent(sums.found) : null],
      ["Reprojection", frames.length ? fixed(sums.reprojection, 1, "px") : null],
      ["σ", frames.length ? fixed(sums.sigma, 1, "mm") : null],
      ["Model", frames[0]?.model.name],
      ["Recorded", moment(capture.created)],
    ]),
    takeChanges(name, sums.frames),
  );
}

/** All results of a capture, fetched in pages; the root shows how far it is. */
async function allFrames(name, root, signal) {
  const results = [];
  for (let from = 0; from !== null;) {
    const page = await read(`${path.frames(name)}?from=${from}&limit=${PAGE_FRAMES}`, { signal });
    results.push(...page.frames);
    from = page.next;
    if (from !== null) waiting(root, `Loading frames: ${results.length} of ${page.total}`);
  }
  return results;
}
