// Cameras of this computer, sent from the browser into a live stream.

import { openSocket, path } from "../api.js";
import { packed } from "./framing.js";

const RATE_HZ = 30;
const QUALITY = 0.85;
const MOST_BUFFERED = 4 * 1024 * 1024; // bytes not sent yet, beyond which pictures are left out

/** The video cameras that the browser knows, with names once the reader allowed them. */
export async function videoDevices() {
  if (!navigator.mediaDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind }) => kind === "videoinput");
}

/** Asks the reader to allow cameras, so that their names can be shown. */
export async function allowCameras() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true });
  for (const track of stream.getTracks()) track.stop();
}

/** Sends cameras into a capture until closed. Holds: the cameras and the socket. */
export class Sender {
  /** choices: Map of the rig's camera ({name, frameSize}) to a device id; onReport hears counts. */
  constructor(rig, capture, choices, onReport) {
    Object.assign(this, { rig, capture, choices, onReport, films: new Map(), closed: false });
  }

  /** Opens all cameras, then the stream. Throws what the browser says of a camera. */
  async start() {
    for (const [camera, deviceId] of this.choices) {
      const [width, height] = camera.frameSize;
      const stream = await navigator.mediaDevices.getUserMedia({
        video: {
          deviceId: { exact: deviceId },
          width: { ideal: width },
          height: { ideal: height },
          frameRate: { ideal: RATE_HZ },
        },
      });
      const video = document.createElement("video");
      Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
      await video.play();
      this.films.set(camera, { stream, video, canvas: new OffscreenCanvas(width, height) });
    }
    this.connect();
    this.timer = setInterval(() => this.tick(), 1000 / RATE_HZ);
  }

  connect() {
    this.socket = openSocket(path.stream(this.rig, this.capture));
    this.socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "report") this.onReport(message);
      if (message.type === "problem") this.onReport({ problem: message.problem });
    });
    this.socket.addEventListener("close", () => {
      if (!this.closed) setTimeout(() => this.closed || this.connect(), 1000);
    });
  }

  /** One moment: every camera's picture as it is now, in one message. */
  async tick() {
    const { socket } = this;
    if (this.busy || socket.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > MOST_BUFFERED) return;
    this.busy = true;
    try {
      const now = BigInt(Math.round(Date.now() * 1000)) * 1000n;
      const pictures = await Promise.all([...this.films].map(jpegOf));
      const message = await packed(now, new Map(pictures));
      // Making the pictures took a while; the reader may have stopped meanwhile.
      if (!this.closed && socket.readyState === WebSocket.OPEN) socket.send(message);
    } finally {
      this.busy = false;
    }
  }

  /** Ends: what was sent is answered, the cameras are let go. */
  close() {
    this.closed = true;
    clearInterval(this.timer);
    for (const { stream } of this.films.values()) {
      for (const track of stream.getTracks()) track.stop();
    }
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "end" }));
    } else this.socket?.close();
  }
}

/** A camera's picture of now in the size that the rig was calibrated for: scaled, edges cut. */
async function jpegOf([camera, { video, canvas }]) {
  const [width, height] = camera.frameSize;
  const scale = Math.max(width / video.videoWidth, height / video.videoHeight);
  const [w, hgt] = [video.videoWidth * scale, video.videoHeight * scale];
  const context = canvas.getContext("2d");
  context.drawImage(video, (width - w) / 2, (height - hgt) / 2, w, hgt);
  return [camera.name, await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY })];
}
