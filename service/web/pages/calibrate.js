// A calibration: the board, the footage, off it goes.

import { path, read, save, upload } from "../api.js";
import { boardDrawing, boardProblem } from "../board.js";
import { h, put } from "../dom.js";
import { notice, problemCard, waiting } from "../parts.js";
import { footageProblem, layoutText, showFootage } from "./footage.js";

// Models as the service names them.
const LENSES = {
  pinhole5: "Ordinary, up to about 90 degrees across",
  pinhole8: "Wide or strongly distorted",
  fisheye: "Fisheye, 100 degrees and more",
};

/** The form of a new calibration of a rig. */
export async function showCalibrate(root, [name], signal) {
  waiting(root);
  const rig = await read(path.rig(name), { signal });
  const state = {
    columns: 9,
    rows: 6,
    square: 25,
    kind: rig.kind,
    lens: "pinhole5",
    quad: false,
    layout: "2x2",
    boxes: "",
    cameras: new Map(),
  };
  const message = h("div", { "aria-live": "polite" });
  const start = h("button", { type: "button", class: "primary" }, "Calibrate");
  const reason = h("span", { class: "muted", role: "status" });
  const footage = h("section", { class: "card" });
  const refresh = () => {
    const problem = boardProblem(state.columns, state.rows, state.square) ?? footageProblem(state);
    start.disabled = problem !== null;
    reason.textContent = problem ?? "Ready to go.";
    showFootage(footage, state, refresh);
  };
  start.addEventListener("click", () => submit(name, state, start, message, signal));
  put(
    root,
    h(
      "header",
      { class: "head" },
      h("p", { class: "crumb" }, h("a", { href: `#/rigs/${encodeURIComponent(name)}` }, name)),
      h("h1", {}, "Calibrate"),
      h(
        "p",
        { class: "muted" },
        "Hold the board still or move it slowly. Tilt it, bring it near every corner of every picture, and let neighbouring cameras see it together.",
      ),
    ),
    h("div", { class: "columns" }, boardCard(state, refresh), footage),
    h("div", { class: "row" }, start, reason),
    message,
  );
  refresh();
}

function boardCard(state, refresh) {
  const drawing = h("div", { class: "board-drawing" });
  const warning = h("p", { class: "warning" });
  const show = () => {
    const problem = boardProblem(state.columns, state.rows, state.square);
    warning.textContent = problem ?? "";
    warning.hidden = problem === null;
    const drawable =
      state.columns >= 2 && state.rows >= 2 && state.columns <= 40 && state.rows <= 40;
    put(drawing, drawable && boardDrawing(state.columns, state.rows));
    refresh();
  };
  const field = (id, label, key, step) =>
    h(
      "div",
      {},
      h("label", { for: id }, label),
      h("input", {
        id,
        type: "number",
        min: step,
        step,
        value: state[key],
        required: true,
        on: {
          input: (event) => {
            state[key] = Number(event.target.value);
            show();
          },
        },
      }),
    );
  const print = async () => {
    const { columns, rows, square } = state;
    try {
      await save(path.board(columns, rows, square), `board-${columns}x${rows}-${square}mm.pdf`);
    } catch (error) {
      notice(error.message, "bad");
    }
  };
  const card = h(
    "section",
    { class: "card form" },
    h("h2", {}, "The board"),
    h(
      "div",
      { class: "fields" },
      field("columns", "Inner corners across", "columns", 1),
      field("rows", "Inner corners down", "rows", 1),
      field("square", "Square, mm", "square", 0.1),
    ),
    drawing,
    warning,
    h(
      "p",
      { class: "muted" },
      "Inner corners are where four squares meet. Measure a square on the print with a ruler: every distance depends on it.",
    ),
    h(
      "button",
      { type: "button", class: "quiet", on: { click: print } },
      "Save this board as PDF to print at 100 %",
    ),
    h("label", { for: "kind" }, "Kind of rig"),
    h(
      "select",
      {
        id: "kind",
        on: {
          change: (event) => {
            state.kind = event.target.value;
          },
        },
      },
      ["quad", "stereo", "multi"].map((kind) =>
        h("option", { value: kind, selected: kind === state.kind }, kind),
      ),
    ),
    h("label", { for: "lens" }, "Lenses"),
    h(
      "select",
      {
        id: "lens",
        on: {
          change: (event) => {
            state.lens = event.target.value;
          },
        },
      },
      Object.entries(LENSES).map(([lens, label]) =>
        h("option", { value: lens, selected: lens === state.lens }, label),
      ),
    ),
  );
  show();
  return card;
}

async function submit(name, state, start, message, signal) {
  const form = new FormData();
  form.append("board", `${state.columns}x${state.rows}`);
  form.append("square_mm", String(state.square));
  form.append("kind", state.kind);
  form.append("lens", state.lens);
  if (state.quad) form.append("layout", layoutText(state));
  for (const [camera, files] of state.cameras) {
    for (const { file } of files) form.append(camera, file, file.name);
  }
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Sent" });
  put(message, h("section", { class: "card" }, h("p", {}, "Sending the footage"), bar));
  start.disabled = true;
  try {
    const job = await upload(path.calibrations(name), form, {
      signal,
      onSent: (share) => {
        bar.value = share;
      },
    });
    location.hash = `#/jobs/${encodeURIComponent(job.id)}`;
  } catch (error) {
    if (error.name === "AbortError") return;
    put(message, problemCard(error));
    start.disabled = false;
  }
}
