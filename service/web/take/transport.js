// Play, step, speed and the slider of a take.

import { h } from "../dom.js";
import { clock } from "../format.js";
import { Player } from "./player.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2];

/** A transport over frames. `element` to place; `onIndex` hears which frame to show. Holds a player. */
export class Transport {
  constructor(frames, onIndex) {
    this.frames = frames;
    this.playButton = h("button", { type: "button", class: "primary play", on: { click: () => this.player.toggle() } });
    this.slider = h("input", {
      type: "range", min: 0, max: frames.length - 1, step: 1, value: 0, "aria-label": "Frame",
      on: { input: () => this.scrub(Number(this.slider.value)) },
    });
    this.time = h("output", { class: "time" });
    this.player = new Player(
      frames.map((frame) => frame.seconds),
      (index) => {
        this.tell(index);
        onIndex(index);
      },
      (playing) => this.tellPlaying(playing),
    );
    this.element = h(
      "div",
      { class: "transport", role: "group", "aria-label": "Playback" },
      this.button("⏮", "First frame", () => this.player.step(-Infinity)),
      this.button("‹", "One frame back", () => this.player.step(-1)),
      this.playButton,
      this.button("›", "One frame on", () => this.player.step(1)),
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
    return h("button", { type: "button", class: "quiet", "aria-label": label, title: label, on: { click: act } }, sign);
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

  tell(index) {
    const frame = this.frames[index];
    this.slider.value = index;
    this.slider.setAttribute(
      "aria-valuetext",
      `${clock(frame.seconds)}, frame ${index + 1} of ${this.frames.length}, people: ${frame.people.length}`,
    );
    this.slider.style.setProperty("--done", index / Math.max(1, this.frames.length - 1));
    this.time.textContent = `${clock(frame.seconds)} · ${frame.sequence}`;
  }

  tellPlaying(playing) {
    this.playButton.textContent = playing ? "❚❚" : "▶";
    this.playButton.setAttribute("aria-label", playing ? "Pause" : "Play");
  }
}
