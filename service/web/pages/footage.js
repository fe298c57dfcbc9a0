// The footage of a calibration: which files are which camera's.

import { h, put } from "../dom.js";
import { dropPlace } from "../drop.js";
import { bytes, plural } from "../format.js";
import { byCamera, safeName } from "../names.js";

/** The form field of four-in-one footage, which is nobody's camera. */
const QUAD = "footage";
const LAYOUTS = [
  ["2x2", "2 × 2"],
  ["4x1", "4 side by side"],
  ["1x4", "4 in a column"],
];

/**
 * Puts the choice of footage into a root.
 *
 * state: {quad, layout, cameras: Map of name to files}; it is changed, then `refresh` called.
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
    state.quad ? layoutChoice(state) : null,
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

function layoutChoice(state) {
  return h(
    "div",
    { class: "form" },
    h("label", { for: "layout" }, "Where the four pictures are"),
    h(
      "select",
      {
        id: "layout",
        on: {
          change: (event) => {
            state.layout = event.target.value;
          },
        },
      },
      LAYOUTS.map(([value, label]) =>
        h("option", { value, selected: value === state.layout }, label),
      ),
    ),
  );
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
export function footageProblem({ quad, cameras }) {
  if (quad) return cameras.size === 1 ? null : "The footage is still missing.";
  if (cameras.size >= 2) return null;
  return cameras.size === 1
    ? "One camera so far; a rig needs at least two."
    : "The footage is still missing.";
}
