// The stage of a take: the camera views and the 3D scene, always of the same frame.

import { h, onSize, put } from "../dom.js";
import { trailPoints } from "../scene/people.js";
import { Scene } from "../scene/scene.js";
import { GAP_PX, packViews } from "./pack.js";
import { View, regionOfPeople } from "./view.js";

const TRAIL_S = 1.2;
const MOST_TRAIL_FRAMES = 90;
const NARROW_PX = 860;
const LEAST_SCENE_PX = 360;
const STANDPOINTS = ["home", "front", "side", "top"];
const POSITIONS_FOR_HOME = 400;

/** Views and scene of a take. `element` to place; `show` draws a frame with its pictures. */
export class Stage {
  constructor(cameras, frames, world) {
    Object.assign(this, {
      cameras,
      frames,
      world,
      options: { skeletons: true, reprojected: false, dim: false },
    });
    this.views = cameras.map((camera) => new View(camera, () => this.enlarge(camera.name)));
    this.viewsBox = h(
      "div",
      { class: "views", role: "group", "aria-label": "Camera views" },
      this.views.map((view) => view.element),
    );
    this.canvas = h("canvas", {
      class: "scene",
      tabindex: "0",
      role: "img",
      "aria-label": "3D scene, loading",
    });
    this.sceneBox = h("div", { class: "scene-box" }, this.canvas, this.lookButtons());
    this.element = h(
      "section",
      { class: "stage", "aria-label": "Views and 3D scene" },
      this.viewsBox,
      this.sceneBox,
    );
    this.scene = new Scene(this.canvas);
    const placed = frames.flatMap((frame) =>
      frame.people.flatMap((person) => person.positions.filter(Boolean)),
    );
    const every = Math.ceil(placed.length / POSITIONS_FOR_HOME) || 1;
    this.scene.setRig(
      world,
      cameras,
      placed.filter((_, index) => index % every === 0),
    );
    this.trails = trailsOf(frames);
    this.stop = onSize(this.element, (width) => this.layOut(width));
  }

  /** Whether heights are measured from a guessed floor (see `shownWorld`). */
  get estimated() {
    return this.scene.world.estimated;
  }

  /** Draws a frame: pictures is a Map from camera name to image or null. */
  show(index, pictures) {
    const frame = this.frames[index];
    this.last = { index, pictures };
    for (const view of this.views) view.show(pictures.get(view.camera.name), frame, this.options);
    this.scene.setPictures(pictures);
    this.scene.setPeople(frame.people, this.trailBefore(index));
    const count = frame.people.length;
    this.canvas.setAttribute(
      "aria-label",
      `3D scene, frame ${frame.sequence}: ${count === 1 ? "1 person" : `${count} people`}, ` +
        `${this.cameras.length} cameras. Arrow keys turn, plus and minus zoom, 0 looks from the start.`,
    );
  }

  /** Shows a moment that has just come, behind those of the last seconds; times in seconds. */
  follow(frame, seconds, pictures) {
    const { frames, trails } = this;
    if (frames.length > 0 && seconds < frames.at(-1).seconds) frames.length = trails.length = 0;
    frames.push({ ...frame, seconds });
    trails.push(...trailsOf(frames.slice(-1)));
    while (frames.length > 1 && seconds - frames[0].seconds > TRAIL_S) {
      frames.shift();
      trails.shift();
    }
    // A view whose picture did not come keeps the last one: a flicker helps nobody.
    const shown = new Map([...(this.last?.pictures ?? []), ...pictures]);
    const placed = frame.people.flatMap((person) => person.positions.filter(Boolean));
    if (!this.placed && placed.length > 0) {
      this.placed = true;
      this.scene.setRig(this.world, this.cameras, placed);
    }
    this.show(frames.length - 1, shown);
  }

  /** Changes what the views show: skeletons, reprojected, dim. */
  setViews(options) {
    Object.assign(this.options, options);
    if (this.last) this.show(this.last.index, this.last.pictures);
  }

  /** Zooms every view to where people are during the take, or back to the whole picture. */
  focusPeople(on) {
    for (const view of this.views) view.focus(on ? regionOfPeople(this.frames, view.camera) : null);
  }

  /** Shows one view large; the same name again, or null, shows all. */
  enlarge(name) {
    this.large = this.large === name ? null : name;
    for (const view of this.views) {
      const { element } = view;
      element.classList.toggle("large", view.camera.name === this.large);
      element.classList.toggle("hidden", this.large !== null && view.camera.name !== this.large);
    }
    this.layOut(this.element.clientWidth);
  }

  close() {
    this.stop();
    this.scene.close();
    for (const view of this.views) view.close();
  }

  lookButtons() {
    const names = [...STANDPOINTS, ...this.cameras.map((camera) => camera.name)];
    return h(
      "div",
      { class: "look", role: "group", "aria-label": "Look from" },
      names.map((name) =>
        h(
          "button",
          { type: "button", class: "chip", on: { click: () => this.scene.look(name) } },
          name,
        ),
      ),
    );
  }

  trailBefore(index) {
    const now = this.frames[index].seconds;
    let from = index;
    while (
      from > 0 &&
      index - from < MOST_TRAIL_FRAMES &&
      now - this.frames[from - 1].seconds <= TRAIL_S &&
      this.frames[from - 1].seconds < now
    )
      from -= 1;
    return this.trails.slice(from, index + 1);
  }

  layOut(width) {
    const narrow = width < NARROW_PX;
    this.element.classList.toggle("narrow", narrow);
    const shown = this.large ? 1 : this.views.length;
    const aspect = Math.max(...this.cameras.map(({ frameSize: [w, hgt] }) => w / hgt));
    const height = Math.min(720, Math.max(420, window.innerHeight * 0.6));
    if (narrow) {
      const columns = this.large ? 1 : aspect < 0.9 ? Math.min(4, shown) : 2;
      const one = Math.floor((width - GAP_PX * (columns - 1)) / columns);
      this.setSizes(columns, one, Math.min(Math.floor(one / aspect), height), 340);
      return;
    }
    const { columns, width: w, height: hgt } = packViews(shown, aspect, width, height);
    const rows = Math.ceil(shown / columns);
    this.setSizes(columns, w, hgt, Math.max(LEAST_SCENE_PX, hgt * rows + GAP_PX * (rows - 1)));
  }

  setSizes(columns, width, height, sceneHeight) {
    const { style } = this.element;
    style.setProperty("--columns", columns);
    style.setProperty("--view-width", `${width}px`);
    style.setProperty("--view-height", `${height}px`);
    style.setProperty("--scene-height", `${sceneHeight}px`);
  }
}

/** What `drawTrails` needs of every frame. */
function trailsOf(frames) {
  return frames.map((frame) =>
    frame.people.map((person) => ({ id: person.id, points: trailPoints(person.positions) })),
  );
}

/** The buttons and switches that change what a stage shows. */
export function stageSwitches(stage) {
  const switches = [
    ["Skeletons", true, (on) => stage.setViews({ skeletons: on })],
    ["3D drawn back", false, (on) => stage.setViews({ reprojected: on })],
    ["Dim pictures", false, (on) => stage.setViews({ dim: on })],
    ["Zoom to people", false, (on) => stage.focusPeople(on)],
    ["Trails", true, (on) => stage.scene.set({ trails: on })],
    ["Uncertainty", false, (on) => stage.scene.set({ sigma: on })],
    ["Cameras", true, (on) => stage.scene.set({ cameras: on })],
  ];
  return put(
    h("div", { class: "switches", role: "group", "aria-label": "What is shown" }),
    switches.map(([label, checked, change]) =>
      h(
        "label",
        { class: "switch" },
        h("input", {
          type: "checkbox",
          checked,
          on: { change: (event) => change(event.target.checked) },
        }),
        label,
      ),
    ),
  );
}
