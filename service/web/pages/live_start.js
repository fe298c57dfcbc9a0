// Starting a capture: with the cameras of this computer, or with the command for another one.

import { path, read, send } from "../api.js";
import { camerasOf } from "../cameras.js";
import { h, put } from "../dom.js";
import { Sender, allowCameras, videoDevices } from "../live/senders.js";
import { safeName } from "../names.js";
import { notice, problemCard } from "../parts.js";

/** A card that starts captures: {element, close}. Holds: the sender while it sends. */
export function startCard(rigs, signal) {
  const state = { rig: rigs[0].name, name: suggestion(), cameras: [], devices: [], sender: null };
  const places = h("div", { class: "fields" });
  const message = h("div", { "aria-live": "polite" });
  const report = h("p", { class: "muted", role: "status" });
  const start = h("button", { type: "button", class: "primary" }, "Record with these cameras");
  const stop = h("button", { type: "button", hidden: true }, "Stop");
  const command = h("code", {});
  const link = h("a", { class: "button quiet", hidden: true }, "Watch it");

  const refresh = () => {
    command.textContent =
      "quadglass send " +
      state.cameras.map(({ name }, index) => `${name}=/dev/video${2 * index}`).join(" ") +
      ` --rig ${state.rig} --capture ${state.name} --url ${location.origin}`;
    put(
      places,
      state.cameras.map((camera, index) => {
        const id = `device-${index}`;
        return h(
          "div",
          {},
          h("label", { for: id }, camera.name),
          h(
            "select",
            { id, data: { camera: camera.name } },
            h("option", { value: "" }, "not used"),
            state.devices.map(({ deviceId, label }, which) =>
              h(
                "option",
                { value: deviceId, selected: which === index },
                label || `camera ${which + 1}`,
              ),
            ),
          ),
        );
      }),
    );
  };
  const choose = async (rig) => {
    state.rig = rig;
    state.cameras = camerasOf(await read(path.rig(rig), { signal }));
    refresh();
  };
  const look = async () => {
    try {
      await allowCameras();
      state.devices = await videoDevices();
      if (state.devices.length === 0) notice("The browser finds no camera.", "bad");
    } catch (error) {
      notice(`The browser gives no camera: ${error.message}`, "bad");
    }
    refresh();
  };
  const chosen = () =>
    new Map(
      state.cameras
        .map((camera) => [
          camera,
          places.querySelector(`select[data-camera="${CSS.escape(camera.name)}"]`)?.value,
        ])
        .filter(([, device]) => device),
    );
  const begin = async () => {
    put(message);
    const choices = chosen();
    if (choices.size === 0) {
      notice("Choose a camera for at least one place.", "bad");
      return;
    }
    start.disabled = true;
    try {
      const body = JSON.stringify({ rig: state.rig, name: state.name });
      await send("POST", path.captures(), body, {
        headers: { "Content-Type": "application/json" },
        signal,
      });
      state.sender = new Sender(state.rig, state.name, choices, (said) => {
        if (said.problem) put(message, problemCard(said.problem));
        else report.textContent = reportText(said);
      });
      await state.sender.start();
      Object.assign(link, { href: `#/live/${encodeURIComponent(state.name)}`, target: "_blank" });
      [link.hidden, stop.hidden, start.hidden] = [false, false, true];
    } catch (error) {
      state.sender?.close();
      put(message, problemCard(error));
    } finally {
      start.disabled = false;
    }
  };
  const end = () => {
    state.sender?.close();
    state.sender = null;
    [link.hidden, stop.hidden, start.hidden] = [false, true, false];
    name.value = state.name = suggestion();
    refresh();
  };
  start.addEventListener("click", begin);
  stop.addEventListener("click", end);
  const name = h("input", {
    id: "capture-name",
    value: state.name,
    on: {
      input: (event) => {
        state.name = safeName(event.target.value) || suggestion();
        refresh();
      },
    },
  });
  const element = h(
    "section",
    { class: "card form" },
    h("h2", {}, "Start a capture"),
    h(
      "div",
      { class: "fields" },
      h(
        "div",
        {},
        h("label", { for: "live-rig" }, "Rig"),
        h(
          "select",
          { id: "live-rig", on: { change: (event) => choose(event.target.value) } },
          rigs.map((rig) => h("option", { value: rig.name }, rig.name)),
        ),
      ),
      h("div", {}, h("label", { for: "capture-name" }, "Name of the capture"), name),
    ),
    h("h3", {}, "Cameras of this computer"),
    h(
      "button",
      { type: "button", class: "quiet", on: { click: look } },
      "Look for cameras",
    ),
    places,
    h("div", { class: "row" }, start, stop, link),
    report,
    message,
    h("h3", {}, "Cameras of another computer"),
    h("p", { class: "muted" }, "There, with Quadglass installed:"),
    h("pre", {}, command),
  );
  choose(state.rig).catch((error) => put(message, problemCard(error)));
  return { element, close: () => state.sender?.close() };
}

function reportText({ received, answered, dropped, sets_per_s: rate, latency_ms: latency }) {
  const lost = Object.entries(dropped ?? {}).map(([reason, count]) => `${count} ${reason}`);
  const numbers = [`${received} sent`, `${answered} answered`];
  if (rate) numbers.push(`${rate.toFixed(1)} a second`);
  if (latency?.p50) numbers.push(`${latency.p50.toFixed(0)} ms`);
  if (lost.length) numbers.push(`dropped: ${lost.join(", ")}`);
  return numbers.join(" · ");
}

function suggestion() {
  const now = new Date();
  const two = (value) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `live-${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}
