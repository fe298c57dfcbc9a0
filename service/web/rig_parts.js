// What a calibration looks like: the cameras in 3D, their numbers, the verdict.

import { distances, fieldOfView } from "./cameras.js";
import { h } from "./dom.js";
import { fixed, percent } from "./format.js";
import { facts, findingsList, gradeBadge, table } from "./parts.js";
import { Scene } from "./scene/scene.js";

/** A 3D scene of a rig without people: {element, close}. */
export function rigScene(cameras, world) {
  const canvas = h("canvas", {
    class: "scene",
    tabindex: "0",
    role: "img",
    "aria-label": `3D scene of ${cameras.length} cameras. Arrow keys turn, plus and minus zoom, 0 looks from the start.`,
  });
  const scene = new Scene(canvas);
  scene.setRig(world, cameras);
  const look = h(
    "div",
    { class: "look", role: "group", "aria-label": "Look from" },
    ["home", "front", "side", "top"].map((name) =>
      h("button", { type: "button", class: "chip", on: { click: () => scene.look(name) } }, name),
    ),
  );
  return { element: h("div", { class: "scene-box" }, canvas, look), close: () => scene.close() };
}

/** Grade, findings first, then the numbers of a calibration. */
export function verdictCard(calibration) {
  const { verdict } = calibration;
  const findings = findingsList(verdict);
  const none = verdict
    ? "Nothing to complain about."
    : "Imported: nobody measured how well it fits.";
  return h(
    "section",
    { class: "card" },
    h(
      "header",
      { class: "row spread" },
      h("h2", {}, "Verdict"),
      gradeBadge(verdict?.grade ?? "imported"),
    ),
    findings ?? h("p", { class: "muted" }, none),
    facts([
      ["Reprojection, RMS", fixed(calibration.rms_px, 2, "px")],
      ["Held-out views", heldOut(calibration.quality)],
      [
        "Square edges",
        known(calibration.quality?.edge_error_mm, (mm) => `± ${fixed(mm, 2, "mm")}`),
      ],
      [
        "σ of a point, centre to worst",
        known(
          calibration.quality?.sigma_mm_at,
          ({ center, worst }) => `${fixed(center, 1)} to ${fixed(worst, 1, "mm")}`,
        ),
      ],
      ["Reference", calibration.reference],
      ["World", calibration.world],
      ["Board", calibration.target && boardText(calibration.target)],
    ]),
  );
}

function heldOut(quality) {
  return known(quality?.cross_validation_px, (px) => fixed(px, 2, "px"));
}

/** What a value says, or null where it was not measured. */
function known(value, say) {
  return value === null || value === undefined ? null : say(value);
}

function boardText({ inner_corners: [columns, rows], square_m: square }) {
  return `${columns} × ${rows} corners, ${fixed(square * 1000, 1, "mm")}`;
}

/** One row a camera: what it is and how well it is known. */
export function cameraTable(cameras) {
  const heads = [
    "camera",
    "picture",
    "focal, px",
    "view",
    "k1",
    "place x y z, m",
    "RMS, px",
    "board views",
    "covered",
  ];
  const rows = cameras.map((camera) => {
    const [across, down] = fieldOfView(camera);
    return [
      h("strong", {}, camera.name),
      `${camera.frameSize[0]} × ${camera.frameSize[1]}`,
      fixed(camera.K[0][0], 1),
      `${fixed(across, 0)}° × ${fixed(down, 0)}°`,
      fixed(camera.distortion[0] ?? 0, 3),
      camera.center.map((value) => fixed(value, 2)).join("  "),
      fixed(camera.rms, 2),
      camera.quality ? String(camera.quality.views) : "–",
      percent(camera.quality?.coverage ?? Number.NaN),
    ];
  });
  return table("Cameras", heads, rows);
}

/** How far apart the cameras stand: a quick check with a tape measure. */
export function distanceTable(cameras) {
  return table(
    "Distances between cameras",
    ["cameras", "metres"],
    distances(cameras).map(([a, b, metres]) => [`${a} – ${b}`, fixed(metres, 3)]),
  );
}
