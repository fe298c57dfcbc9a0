// The footage of a calibration: which files are which camera's.

import { h, put, s } from "../dom.js";
import { dropPlace } from "../drop.js";
import { bytes, plural } from "../format.js";
import { byCamera, safeName } from "../names.js";

/** The form field of four-in-one footage, which is nobody's camera. */
const QUAD = "footage";
const BOXES = "boxes";
const BOXES_TEXT = /^\d+,\d+,\d+,\d+(;\d+,\d+,\d+,\d+)+$/;
const LAYOUTS = [
  ["2x2", "2 × 2"],
  ["4x1", "4 side by side"],
  ["1x4", "4 in a column"],
  [BOXES, "boxes in pixels"],
];

/**
 * Puts the choice of footage into a root.
 *
 * state: {quad, layout, boxes, cameras: Map of name to files}; it is changed, then `refresh` called.
 */
export function showFootage(root, state, refresh) {
  const take = (files) => {
    if (state.quad) state.cameras = new Map([[QUAD, files]]);
    else
      for (const [camera, some] of byCamera(files, [...state.cameras.keys()]))
        state.cameras.set(camera, some);
    refresh();
  };
  const mode = (quad) => {
    state.quad = quad;
    state.cameras = new Map();
    refresh();
  };
  const choice = (label, quad) =>
    h(
      "label",
      {},
      h("input", {
        type: "radio",
        name: "mode",
        checked: state.quad === quad,
        on: { change: () => mode(quad) },
      }),
      label,
    );
  put(
    root,
    h("h2", {}, "The footage"),
    h(
      "fieldset",
      { class: "choice" },
      h("legend", { class: "unseen" }, "What the footage is"),
      choice("one per camera", false),
      choice("four in one picture", true),
    ),
    state.quad ? layoutChoice(state, refresh) : null,
    dropPlace(
      state.quad
        ? {
            title: "Drop the four-in-one video, pictures or zip",
            hint: "each picture holds all four cameras",
            multiple: true,
            onFiles: take,
          }
        : {
            title: "Drop a folder, video or zip for each camera",
            hint: "cameras are named after folders or files; pictures of one moment share a file name",
            multiple: true,
            onFiles: take,
          },
    ),
    state.quad
      ? null
      : dropPlace({
          title: "Choose a folder",
          hint: "with a folder for each camera in it",
          folders: true,
          onFiles: take,
          small: true,
        }),
    h(
      "ul",
      { class: "camera-files", "aria-label": "Footage" },
      [...state.cameras].map(([camera, files]) => cameraLine(state, camera, files, refresh)),
    ),
  );
}

function layoutChoice(state, refresh) {
  const set = (key) => (event) => {
    state[key] = event.target.value;
    refresh();
  };
  return h(
    "div",
    { class: "form" },
    h("label", { for: "layout" }, "Where the four pictures are"),
    h(
      "select",
      { id: "layout", on: { change: set("layout") } },
      LAYOUTS.map(([value, label]) =>
        h("option", { value, selected: value === state.layout }, label),
      ),
    ),
    state.layout === BOXES
      ? [
          h(
            "label",
            { for: "boxes" },
            "x,y,width,height of each camera, one after the other with ;",
          ),
          h("input", {
            id: "boxes",
            value: state.boxes,
            placeholder: "0,0,960,540;960,0,960,540;0,540,960,540;960,540,960,540",
            on: { change: set("boxes") },
          }),
        ]
      : layoutDrawing(state.layout),
  );
}

/** How the picture is cut: a rectangle for each camera, named as the cameras will be. */
function layoutDrawing(layout) {
  const [columns, rows] = layout.split("x").map(Number);
  const [width, height] = [160 / columns, 90 / rows];
  const cells = Array.from({ length: columns * rows }, (_, index) => {
    const [x, y] = [(index % columns) * width, Math.floor(index / columns) * height];
    return [
      s("rect", { x: x + 1, y: y + 1, width: width - 2, height: height - 2, rx: 3 }),
      s(
        "text",
        { x: x + width / 2, y: y + height / 2 + 4, "text-anchor": "middle" },
        `cam${index}`,
      ),
    ];
  });
  return s("svg", { class: "layout", viewBox: "0 0 160 90", "aria-hidden": "true" }, cells);
}

function cameraLine(state, camera, files, refresh) {
  const rename = (event) => {
    const to = safeName(event.target.value) || camera;
    state.cameras = new Map(
      [...state.cameras].map(([key, value]) => [key === camera ? to : key, value]),
    );
    refresh();
  };
  const size = files.reduce((sum, { file }) => sum + file.size, 0);
  return h(
    "li",
    {},
    state.quad
      ? h("strong", {}, files.length > 1 ? "all pictures" : files[0].file.name)
      : h("input", {
          value: camera,
          "aria-label": `Name of camera ${camera}`,
          on: { change: rename },
        }),
    h("span", { class: "muted" }, `${plural(files.length, "file")}, ${bytes(size)}`),
    h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": `Remove ${camera}`,
        on: {
          click: () => {
            state.cameras.delete(camera);
            refresh();
          },
        },
      },
      "✕",
    ),
  );
}

/** What is still missing, in a sentence, or null. */
export function footageProblem({ quad, layout, boxes, cameras }) {
  if (quad && layout === BOXES && !BOXES_TEXT.test(boxes)) {
    return "The boxes are still missing: four whole numbers for each camera.";
  }
  if (quad) return cameras.size === 1 ? null : "The footage is still missing.";
  if (cameras.size >= 2) return null;
  return cameras.size === 1
    ? "One camera so far; a rig needs at least two."
    : "The footage is still missing.";
}

/** The layout as the service takes it. */
export function layoutText({ layout, boxes }) {
  return layout === BOXES ? boxes : layout;
}
