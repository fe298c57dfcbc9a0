// Looking on at a capture: results and pictures as they come, connected again when the line breaks.

import { openSocket, path } from "../api.js";
import { unpacked } from "./framing.js";

const PAUSES_MS = [300, 600, 1200, 2500, 5000];
const WAIT_FOR_PICTURES_MS = 400;

/**
 * Follows a capture until the signal aborts.
 *
 * `onMoment(result, pictures)` hears each moment with its pictures (a Map of camera name to image,
 * empty if none came); `onState(text)` hears "connected" or why not.
 */
export function watchCapture(name, { width, onMoment, onState, signal }) {
  let [lost, pending, timer] = [0, null, 0];
  const show = (pictures) => {
    if (!pending) return;
    const result = pending;
    pending = null;
    clearTimeout(timer);
    onMoment(result, pictures);
  };
  const connect = () => {
    if (signal.aborted) return;
    const socket = openSocket(path.watch(name, width));
    socket.binaryType = "arraybuffer";
    const stop = () => socket.close();
    signal.addEventListener("abort", stop, { once: true });
    socket.addEventListener("open", () => onState("connected"));
    socket.addEventListener("message", async ({ data }) => {
      lost = 0;
      if (typeof data === "string") {
        const message = JSON.parse(data);
        if (message.type === "problem") onState(message.problem.detail);
        if (message.type !== "result") return;
        show(new Map()); // the pictures of the one before did not come
        pending = message.result;
        timer = setTimeout(() => show(new Map()), WAIT_FOR_PICTURES_MS);
        return;
      }
      const { sequence, pictures } = unpacked(data);
      if (pending?.sequence !== sequence) return;
      const images = await Promise.all([...pictures.values()].map(imageOf));
      if (pending?.sequence !== sequence) return;
      show(new Map([...pictures.keys()].map((camera, index) => [camera, images[index]])));
    });
    socket.addEventListener("close", () => {
      signal.removeEventListener("abort", stop);
      if (signal.aborted) return;
      onState("connecting again");
      setTimeout(connect, PAUSES_MS[Math.min(lost, PAUSES_MS.length - 1)]);
      lost += 1;
    });
  };
  connect();
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
}

function imageOf(blob) {
  return createImageBitmap(blob).catch(() => null);
}
