// The 3D scene on one canvas: no library, no GPU needed, drawn only when something changed.

import { onSize, sharpContext } from "../dom.js";
import { onScheme, palette } from "../theme.js";
import { length, mean, quantile, sub } from "../vec.js";
import { drawAxes, drawGrid } from "./floor.js";
import { controls, glide, standpoint, viewFrom } from "./orbit.js";
import { drawName, drawShadows, drawTrails, personShapes } from "./people.js";
import { cameraShapes } from "./rig.js";
import { shownCamera, shownWorld } from "./world.js";

/** A scene that draws a rig and its people, and that the reader can turn. Holds: canvas, standpoint. */
export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    this.cameras = [];
    this.world = shownWorld("floor", []);
    this.people = [];
    this.history = [];
    this.pictures = new Map();
    this.options = { sigma: false, selected: null, trails: true, cameras: true, pictures: true };
    this.stand = standpoint();
    this.home = standpoint();
    this.size = [0, 0];
    this.pending = 0;
    const redraw = () => this.draw();
    this.stops = [
      onSize(canvas, (width, height) => {
        this.size = [width, height];
        this.paint();
      }),
      onScheme(redraw),
    ];
    controls(canvas, this.stand, () => this.home, redraw);
  }

  /** Takes a rig's cameras and where people are to be expected ([position, ...], world), and looks there. */
  setRig(kind, cameras, positions = []) {
    this.world = shownWorld(kind, cameras, positions);
    this.cameras = cameras.map((camera) => shownCamera(camera, this.world));
    this.home = this.standpointFor(positions.map(this.world.show));
    Object.assign(this.stand, this.home);
    this.draw();
  }

  /** Takes the people of a frame and where they were before (see drawTrails), world metres. */
  setPeople(people, history = []) {
    const show = (point) => point && this.world.show(point);
    this.people = people.map((person) => ({ ...person, positions: person.positions.map(show) }));
    this.history = history.map((frame) =>
      frame.map(({ id, points }) => ({ id, points: points.map(show) })),
    );
    this.draw();
  }

  /** Takes the pictures to show on the cameras' planes: Map of camera name to image. */
  setPictures(pictures) {
    this.pictures = pictures;
    this.draw();
  }

  /** Changes what is shown: sigma, selected (joint or null), trails, cameras, pictures. */
  set(options) {
    Object.assign(this.options, options);
    this.draw();
  }

  /** Looks from "home", "top", "front", "side", or through the camera of that name. */
  look(from) {
    const sides = { top: [-Math.PI / 2, 1.54], front: [0, 0.05], side: [-Math.PI / 2, 0.05] };
    const camera = this.cameras.find(({ name }) => name === from);
    if (camera) {
      this.stand.through = camera;
      this.draw();
      return;
    }
    const [azimuth, elevation] = sides[from] ?? [this.home.azimuth, this.home.elevation];
    glide(this.stand, { ...this.home, azimuth, elevation }, () => this.draw());
  }

  /** Asks for a new picture with the screen's next refresh. */
  draw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.paint();
    });
  }

  /** Stops listening; the scene is not used afterwards. */
  close() {
    cancelAnimationFrame(this.pending);
    for (const stop of this.stops) stop();
  }

  standpointFor(positions) {
    const eyes = this.cameras.map((camera) => camera.center);
    if (eyes.length === 0) return standpoint();
    const target = positions.length
      ? [0, 1, 2].map((axis) =>
          quantile(
            positions.map((point) => point[axis]),
            0.5,
          ),
        )
      : [0, 1, 2].map((axis) => mean(eyes.map((eye) => eye[axis])));
    const reach = quantile(
      eyes.map((eye) => length(sub(eye, target))),
      1,
    );
    // With people the scene is about them; without, every camera has to be in the picture.
    if (positions.length === 0) target[2] = Math.max(target[2] / 2, target[2] - reach / 2);
    const distance = positions.length ? Math.max(2.5, reach * 1.45) : 0.6 + reach * 2.6;
    return standpoint({
      target,
      distance: Math.min(40, distance),
      azimuth: widestGap(eyes, target),
      elevation: 0.34,
    });
  }

  paint() {
    const [width, height] = this.size;
    if (!width) return;
    const context = sharpContext(this.canvas, width, height);
    const colours = palette();
    const view = viewFrom(this.stand, width, height);
    paintGround(context, width, height, colours);
    drawGrid(context, view, this.stand.target, colours);
    drawAxes(context, view, this.world.show);
    drawShadows(context, view, this.people, colours);
    if (this.options.trails) drawTrails(context, view, this.history);
    const shapes = this.people.flatMap((person) =>
      personShapes(view, person, colours, this.options),
    );
    if (this.options.cameras) shapes.push(...this.rigShapes(view, colours));
    shapes.sort((a, b) => b.depth - a.depth);
    for (const shape of shapes) shape.draw(context);
    for (const person of this.people) drawName(context, view, person, colours);
  }

  rigShapes(view, colours) {
    const depth = Math.min(0.8, Math.max(0.12, this.home.distance * 0.085));
    return this.cameras
      .filter((camera) => camera !== this.stand.through)
      .flatMap((camera) =>
        cameraShapes(view, camera, depth, colours, {
          picture: this.options.pictures ? this.pictures.get(camera.name) : null,
          selected: false,
        }),
      );
  }
}

function paintGround(context, width, height, colours) {
  const glow = context.createRadialGradient(
    width / 2,
    height * 0.55,
    0,
    width / 2,
    height * 0.55,
    Math.max(width, height) * 0.75,
  );
  glow.addColorStop(0, colours.ground);
  glow.addColorStop(1, colours.fog);
  context.fillStyle = glow;
  context.fillRect(0, 0, width, height);
}

/** The direction from the target in which no camera stands in the reader's way. */
function widestGap(eyes, target) {
  const angles = eyes
    .map((eye) => Math.atan2(eye[1] - target[1], eye[0] - target[0]))
    .sort((a, b) => a - b);
  if (angles.length === 0) return standpoint().azimuth;
  const gaps = angles.map((angle, index) => {
    const next = angles[index + 1] ?? angles[0] + 2 * Math.PI;
    return { width: next - angle, middle: (angle + next) / 2 };
  });
  return gaps.reduce((best, gap) => (gap.width > best.width ? gap : best)).middle;
}
