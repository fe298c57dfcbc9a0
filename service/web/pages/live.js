// Live: captures that can be looked at while they run, and one of them with views and 3D scene.

import { path, read } from "../api.js";
import { camerasOf } from "../cameras.js";
import { h, put } from "../dom.js";
import { fixed, moment, plural } from "../format.js";
import { Health } from "../live/health.js";
import { Meter } from "../live/meter.js";
import { watchCapture } from "../live/watch.js";
import { empty, facts, waiting } from "../parts.js";
import { framesFrom } from "../take/frames.js";
import { Stage, stageSwitches } from "../take/stage.js";
import { startCard } from "./live_start.js";

const PICTURE_WIDTH = 480;
const TELL_EVERY_MS = 1000;
const ASK_EVERY_MS = 5000;

/** What can be started and what can be watched. */
export async function showLive(root, _names, signal) {
  waiting(root);
  const [{ rigs }, { captures }] = await Promise.all([
    read(path.rigs(), { signal }),
    read(path.captures(), { signal }),
  ]);
  const ready = rigs.filter((rig) => rig.calibration !== null);
  const start = ready.length > 0 ? startCard(ready, signal) : null;
  put(
    root,
    h("header", { class: "head" }, h("h1", {}, "Live")),
    start?.element ??
      empty(
        "No calibrated rig yet",
        "People are placed in 3D once the cameras' places are known.",
        h("a", { class: "button", href: "#/rigs" }, "Rigs"),
      ),
    captures.length > 0 &&
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Look on at a capture"),
        h(
          "ul",
          {},
          captures.slice(0, 12).map((capture) =>
            h(
              "li",
              {},
              h("a", { href: `#/live/${encodeURIComponent(capture.name)}` }, capture.name),
              h(
                "span",
                { class: "muted" },
                ` rig ${capture.rig}, ${plural(capture.frames, "frame")}, ${moment(capture.created)}`,
              ),
            ),
          ),
        ),
      ),
  );
  return () => start?.close();
}

/** One capture while it runs. Returns what undoes it. */
export async function showLiveCapture(root, [name], signal) {
  waiting(root);
  const capture = await read(path.capture(name), { signal });
  const rig = await read(path.calibration(capture.calibration), { signal });
  const cameras = camerasOf(rig);
  const stage = new Stage(cameras, [], rig.world);
  const [meter, health] = [new Meter(), new Health(cameras)];
  const numbers = h("div", { "aria-live": "off" });
  const state = h("span", { class: "muted", role: "status" }, "connecting");
  const waitingNote = h(
    "p",
    { class: "muted" },
    "Nothing has come yet. Frames posted or streamed into this capture appear here: ",
    h("code", {}, `quadglass send cam0=/dev/video0 … --rig ${capture.rig} --capture ${name}`),
  );
  put(
    root,
    h(
      "header",
      { class: "head" },
      h("p", { class: "crumb" }, h("a", { href: "#/live" }, "Live")),
      h("h1", {}, name),
      numbers,
    ),
    h("p", { class: "row" }, state, h("a", { href: `#/takes/${encodeURIComponent(name)}` }, "As a take")),
    waitingNote,
    stage.element,
    stageSwitches(stage),
    health.element,
  );
  let latest = null;
  watchCapture(name, {
    width: PICTURE_WIDTH,
    signal,
    onState: (text) => put(state, text),
    onMoment: (result, pictures) => {
      waitingNote.hidden = true;
      latest = result;
      meter.note(result.timestamp_ns);
      health.note(result);
      stage.follow(framesFrom([result])[0], result.timestamp_ns / 1e9, pictures);
      root.dataset.timestamp = result.timestamp_ns;
      root.dataset.moments = Number(root.dataset.moments ?? 0) + 1;
    },
  });
  const tell = () => {
    const { rate, latency } = meter.read();
    put(
      numbers,
      facts([
        ["Rig", h("a", { href: `#/rigs/${encodeURIComponent(capture.rig)}` }, capture.rig)],
        ["People", latest ? `${latest.people.length}` : null],
        ["Frame sets shown", rate ? fixed(rate, 1, "/s") : null],
        ["From camera to screen", latency === null ? null : fixed(latency, 0, "ms")],
        ["Frame", latest ? `${latest.sequence}` : null],
        ["Model", latest?.model?.name],
      ]),
    );
    health.show();
  };
  const ask = async () => {
    try {
      health.show((await read(path.capture(name), { signal })).health);
    } catch {
      // The state beside the heading tells when the service is away.
    }
  };
  tell();
  const timers = [setInterval(tell, TELL_EVERY_MS), setInterval(ask, ASK_EVERY_MS)];
  return () => {
    for (const timer of timers) clearInterval(timer);
    stage.close();
  };
}
