// The service as functions: every address the page knows is in this file.

import { fileOf } from "./names.js";

const KEY_PLACE = "quadglass-key";
const RECONNECTS = 5;
const READ_TRIES = 3;
const READ_PAUSE_MS = 150;
const PLAIN_TITLES = {
  400: "The request cannot be read",
  401: "This service wants an API key",
  403: "This key may not do that",
  404: "Not found",
  409: "Something stands in the way",
  413: "Too large",
  415: "Not a kind of file that is read here",
  422: "This cannot be used",
  429: "The service is busy",
  503: "The service is not ready",
  504: "It took too long",
};

/** A refusal or failure, from a problem document (RFC 9457) where there is one. */
export class Problem extends Error {
  constructor({ status = 0, title = "Request failed", detail = "", ...more }) {
    super(detail ? `${title}: ${detail}` : title);
    Object.assign(this, {
      status,
      title,
      detail,
      pointer: null,
      camera: null,
      retryAfter: null,
      ...more,
    });
  }
}

const part = encodeURIComponent;
export const path = {
  board: (columns, rows, squareMm) => `/v1/boards/${columns}x${rows}.pdf?square_mm=${squareMm}`,
  rigs: () => "/v1/rigs",
  rig: (rig) => `/v1/rigs/${part(rig)}`,
  rigFile: (rig) => `/v1/rigs/${part(rig)}/rig.yaml`,
  calibrations: (rig) => `/v1/rigs/${part(rig)}/calibrations`,
  job: (job) => `/v1/jobs/${part(job)}`,
  jobEvents: (job) => `/v1/jobs/${part(job)}/events`,
  calibration: (id) => `/v1/calibrations/${part(id)}`,
  calibrationFile: (id) => `/v1/calibrations/${part(id)}/rig.yaml`,
  calibrationReport: (id) => `/v1/calibrations/${part(id)}/report.json`,
  calibrationPage: (id) => `/v1/calibrations/${part(id)}/report.html`,
  activate: (id) => `/v1/calibrations/${part(id)}/activate`,
  images: () => "/v1/images",
  captures: () => "/v1/captures",
  capture: (capture) => `/v1/captures/${part(capture)}`,
  frames: (capture) => `/v1/captures/${part(capture)}/frames`,
  picture: (capture, sequence, camera) =>
    `/v1/captures/${part(capture)}/frames/${sequence}/${part(camera)}.jpg`,
  download: (capture, format) => `/v1/captures/${part(capture)}/export?format=${part(format)}`,
  watch: (capture, width) => `/v1/captures/${part(capture)}/watch?pictures=${width}`,
  stream: (rig, capture) =>
    `/v1/rigs/${part(rig)}/stream?capture=${part(capture)}&mode=latest`,
  ready: () => "/health/ready",
  metrics: () => "/metrics",
};

/** Keeps an API key for this tab, and no longer; null forgets it. */
export function useKey(key) {
  if (key) sessionStorage.setItem(KEY_PLACE, key);
  else sessionStorage.removeItem(KEY_PLACE);
}

/** Whether this tab has a key. */
export const hasKey = () => sessionStorage.getItem(KEY_PLACE) !== null;

/** The JSON at an address. Throws `Problem`. */
export async function read(address, { signal } = {}) {
  return (await ask(address, { signal, headers: { Accept: "application/json" } })).json();
}

/** The text at an address. Throws `Problem`. */
export async function readText(address, { signal } = {}) {
  return (await ask(address, { signal })).text();
}

/** The bytes at an address. Throws `Problem`. */
export async function readBlob(address, { signal } = {}) {
  return (await ask(address, { signal })).blob();
}

/** The JSON answer to a request with a body (null where the answer is none). Throws `Problem`. */
export async function send(method, address, body, { signal, headers = {} } = {}) {
  const response = await ask(address, { method, body, signal, headers });
  const text = await response.text();
  return text && isJson(response.headers.get("Content-Type")) ? JSON.parse(text) : null;
}

/** Saves what is at an address as a file, with the name the service gives it. Throws `Problem`. */
export async function save(address, fallbackName) {
  const response = await ask(address, {});
  const name = fileOf(response.headers.get("Content-Disposition")) ?? fallbackName;
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * The JSON answer to a large form. `onSent` hears the share sent, in [0, 1].
 * Uses XMLHttpRequest: fetch does not tell how much of a body has gone out.
 */
export function upload(address, form, { onSent, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onSent?.(event.loaded / event.total);
    });
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText || "null"));
      else
        reject(
          asProblem(request.status, request.responseText, (n) => request.getResponseHeader(n)),
        );
    });
    request.addEventListener("error", () => reject(unreachable()));
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/**
 * Follows server-sent events until `onEvent(name, data)` returns true, reconnecting when the line
 * breaks. Uses fetch: EventSource cannot send a key. Throws `Problem`.
 */
export async function follow(address, onEvent, { signal } = {}) {
  for (let lost = 0; ; lost += 1) {
    try {
      const response = await ask(address, { signal, headers: { Accept: "text/event-stream" } });
      for await (const { name, data } of eventsOf(response.body)) {
        lost = 0;
        if (onEvent(name, data)) return;
      }
    } catch (error) {
      if (error.name === "AbortError" || error.status > 0 || lost >= RECONNECTS) throw error;
    }
    if (lost >= RECONNECTS) throw unreachable();
    await new Promise((resolve) => setTimeout(resolve, 300 * 2 ** lost));
  }
}

/** A WebSocket at an address of the service. A browser's sockets have no headers: a key is offered. */
export function openSocket(address) {
  const url = new URL(address, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const key = sessionStorage.getItem(KEY_PLACE);
  return new WebSocket(url, key ? ["quadglass.v1", `key.${key}`] : ["quadglass.v1"]);
}

async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let [text, name, data] = ["", "message", []];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (text + value).split(/\r\n|\n|\r/);
      text = lines.pop();
      for (const line of lines) {
        if (line === "" && data.length) {
          yield { name, data: JSON.parse(data.join("\n")) };
          [name, data] = ["message", []];
        } else if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(5).trim());
      }
    }
  } finally {
    await reader.cancel();
  }
}

async function ask(address, { headers = {}, ...options }) {
  // Reading may be tried again: browsers drop requests when an interface comes or goes, too.
  const tries = (options.method ?? "GET") === "GET" ? READ_TRIES : 1;
  let response = null;
  for (let tried = 1; response === null; tried += 1) {
    try {
      response = await fetch(address, { ...options, headers: { ...headers, ...keyHeaders() } });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (tried === tries) throw unreachable();
      await new Promise((resolve) => setTimeout(resolve, READ_PAUSE_MS * tried));
    }
  }
  if (response.ok) return response;
  throw asProblem(response.status, await response.text(), (name) => response.headers.get(name));
}

function keyHeaders() {
  const key = sessionStorage.getItem(KEY_PLACE);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

function isJson(type) {
  return /[/+]json/.test(type || "");
}

function unreachable() {
  return new Problem({
    title: "The service does not answer",
    detail:
      "It may have stopped, or this computer lost its connection. Start it with `quadglass serve`, then try again.",
  });
}

function asProblem(status, text, header) {
  const retryAfter = Number(header("Retry-After")) || null;
  const known = isJson(header("Content-Type")) ? JSON.parse(text) : {};
  const problem = new Problem({
    status,
    title: PLAIN_TITLES[status] ?? known.title ?? `Error ${status}`,
    detail: typeof known.detail === "string" ? known.detail : text.slice(0, 300),
    pointer: known.pointer ?? null,
    camera: known.camera ?? null,
    document: known,
    retryAfter,
  });
  if (status === 401) window.dispatchEvent(new CustomEvent("key-wanted"));
  return problem;
}
