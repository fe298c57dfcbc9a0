// All takes.

import { path, read } from "../api.js";
import { h, put } from "../dom.js";
import { clock, moment, plural } from "../format.js";
import { empty, waiting } from "../parts.js";
import { takeStrip } from "../thumbnails.js";

/** The list of takes, newest first. */
export async function showTakes(root, _names, signal) {
  waiting(root);
  const { captures } = await read(path.captures(), { signal });
  const heading = h("header", { class: "head" }, h("h1", {}, "Takes"));
  if (captures.length === 0) {
    put(
      root,
      heading,
      empty(
        "No take yet",
        "A take begins when frames are posted with the name of a capture, or on the command line:",
        h(
          "pre",
          {},
          h("code", {}, "quadglass capture --rig rig.yaml cam0=a.mp4 cam1=b.mp4 -o take/"),
        ),
        h("p", {}, h("a", { href: "/docs" }, "How to post frames")),
      ),
    );
    return;
  }
  put(
    root,
    heading,
    h(
      "ul",
      { class: "cards" },
      captures.map((capture) => card(capture, signal)),
    ),
  );
}

function card(capture, signal) {
  const { name } = capture;
  return h(
    "li",
    {},
    h(
      "a",
      { class: "card link", href: `#/takes/${encodeURIComponent(name)}` },
      capture.frames > 0 && takeStrip(capture, signal),
      h("h2", {}, name),
      h("p", { class: "muted" }, `${plural(capture.frames, "frame")} · rig ${capture.rig}`),
      h(
        "p",
        { class: "row" },
        h("span", {}, moment(capture.created)),
        capture.seconds ? h("span", {}, clock(capture.seconds)) : null,
      ),
    ),
  );
}
