// Play, step, speed and the slider of a take.

import { h, s } from "../dom.js";
import { clock } from "../format.js";
import { Player } from "./player.js";

// Signs on a field of 16 x 16, so no font has to have them.
const SIGNS = {
  first: "M3 3h2v10H3zM13 3v10L6 8z",
  back: "M11 3v10L4 8z",
  on: "M5 3v10l7-5z",
  play: "M4 2.500v11L13.500 8z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
};
const SPEEDS = [0.1, 0.25, 0.5, 1, 2];

/** A transport over frames. `element` to place; `onIndex` hears which frame to show. Holds a player. */
export class Transport {
  constructor(frames, onIndex) {
    this.frames = frames;
    this.playButton = h("button", {
      type: "button",
      class: "primary play",
      on: { click: () => this.player.toggle() },
    });
    this.slider = h("input", {
      type: "range",
      min: 0,
      max: frames.length - 1,
      step: 1,
      value: 0,
      "aria-label": "Frame",
      on: { input: () => this.scrub(Number(this.slider.value)) },
    });
    this.time = h("output", { class: "time" });
    this.player = new Player(
      frames.map((frame) => frame.seconds),
      onIndex,
      (playing) => this.tellPlaying(playing),
    );
    this.element = h(
      "div",
      { class: "transport", role: "group", "aria-label": "Playback" },
      this.button("first", "First frame", () => this.player.step(-Infinity)),
      this.button("back", "One frame back", () => this.player.step(-1)),
      this.playButton,
      this.button("on", "One frame on", () => this.player.step(1)),
      this.slider,
      this.time,
      this.speedChoice(),
    );
    this.tell(0);
    this.tellPlaying(false);
  }

  /** Goes to a frame by hand; stops playing. */
  scrub(index) {
    this.player.pause();
    this.player.seek(index);
  }

  /** Acts on a key; returns whether it was one of its own. */
  key(event) {
    const acts = {
      " ": () => this.player.toggle(),
      ArrowLeft: () => this.player.step(event.shiftKey ? -10 : -1),
      ArrowRight: () => this.player.step(event.shiftKey ? 10 : 1),
      Home: () => this.player.step(-Infinity),
      End: () => this.player.step(Infinity),
    };
    acts[event.key]?.();
    return event.key in acts;
  }

  close() {
    this.player.pause();
  }

  button(sign, label, act) {
    return h(
      "button",
      { type: "button", class: "quiet", "aria-label": label, title: label, on: { click: act } },
      drawn(sign),
    );
  }

  speedChoice() {
    return h(
      "select",
      {
        "aria-label": "Speed",
        on: { change: (event) => this.player.setSpeed(Number(event.target.value)) },
      },
      SPEEDS.map((speed) => h("option", { value: speed, selected: speed === 1 }, `${speed}×`)),
    );
  }

  /** Says which frame is shown now; the pictures may have come later than the hand on the slider. */
  tell(index) {
    const frame = this.frames[index];
    if (this.player.playing || index === this.player.index) this.slider.value = index;
    this.slider.setAttribute(
      "aria-valuetext",
      `${clock(frame.seconds)}, frame ${index + 1} of ${this.frames.length}, people: ${frame.people.length}`,
    );
    this.slider.style.setProperty("--done", index / Math.max(1, this.frames.length - 1));
    this.time.textContent = `${clock(frame.seconds)} · ${frame.sequence}`;
  }

  tellPlaying(playing) {
    this.playButton.replaceChildren(drawn(playing ? "pause" : "play"));
    this.playButton.setAttribute("aria-label", playing ? "Pause" : "Play");
  }
}

function drawn(sign) {
  return s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: SIGNS[sign] }));
}
