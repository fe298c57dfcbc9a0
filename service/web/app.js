// The page: which part is shown (the address after #), the state of the service, the key.

import { hasKey, path, read, useKey } from "./api.js";
import { h, put } from "./dom.js";
import { problemCard } from "./parts.js";
import { showCalibrate } from "./pages/calibrate.js";
import { showJob } from "./pages/job.js";
import { showLive, showLiveCapture } from "./pages/live.js";
import { showPicture } from "./pages/picture.js";
import { showRig } from "./pages/rig.js";
import { showRigs } from "./pages/rigs.js";
import { showSystem } from "./pages/system.js";
import { showTake } from "./pages/take.js";
import { showTakes } from "./pages/takes.js";

const STATE_EVERY_MS = 15_000;
const START = "#/rigs";

// Address after "#" -> what shows it: (root, parameters, signal) => cleanup or nothing.
const ROUTES = [
  [/^#\/rigs$/, "rigs", "Rigs", showRigs],
  [/^#\/rigs\/([^/]+)$/, "rigs", "Rig", showRig],
  [/^#\/rigs\/([^/]+)\/calibrate$/, "rigs", "Calibrate", showCalibrate],
  [/^#\/jobs\/([^/]+)$/, "rigs", "Calibration", showJob],
  [/^#\/takes$/, "takes", "Takes", showTakes],
  [/^#\/takes\/([^/]+)$/, "takes", "Take", showTake],
  [/^#\/live$/, "live", "Live", showLive],
  [/^#\/live\/([^/]+)$/, "live", "Live", showLiveCapture],
  [/^#\/picture$/, "picture", "Try a picture", showPicture],
  [/^#\/system$/, "system", "System", showSystem],
];

const main = document.getElementById("main");
let leave = { stop: new AbortController(), cleanup: null };
let first = true;

async function show() {
  const address = location.hash || START;
  const found = ROUTES.map(([pattern, ...rest]) => [pattern.exec(address), ...rest]).find(
    ([match]) => match,
  );
  if (!found) {
    location.replace(START);
    return;
  }
  const [match, page, title, open] = found;
  leave.stop.abort();
  leave.cleanup?.();
  const here = { stop: new AbortController(), cleanup: null };
  leave = here;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const names = match.slice(1).map(decodeURIComponent);
  document.title = [...names, title, "Quadglass"].join(" · ");
  const root = h("div", { class: `page ${page}` });
  put(main, root);
  if (!first) main.focus({ preventScroll: true });
  first = false;
  window.scrollTo(0, 0);
  try {
    const cleanup = await open(root, names, here.stop.signal);
    if (here.stop.signal.aborted) cleanup?.();
    else here.cleanup = cleanup;
  } catch (error) {
    if (error.name === "AbortError" || here.stop.signal.aborted) return;
    put(root, problemCard(error, show));
    if (!(error.status > 0)) console.warn(error);
  }
}

async function tellState() {
  const place = document.getElementById("state");
  let [state, text] = ["good", "ready"];
  try {
    const ready = await read(path.ready());
    text = ready.model?.name ? `ready · ${ready.model.name}` : "ready";
  } catch (error) {
    state = error.status === 503 ? "usable" : "bad";
    text =
      error.status === 503 ? "not ready" : error.status ? `error ${error.status}` : "no answer";
  }
  place.className = `state ${state}`;
  place.querySelector("span").textContent = text;
  setTimeout(() => whenSeen(tellState), STATE_EVERY_MS);
}

/** Calls now, or once the reader looks at this tab again. */
function whenSeen(call) {
  if (!document.hidden) call();
  else document.addEventListener("visibilitychange", call, { once: true });
}

function askForKey() {
  if (document.querySelector("dialog.key")) return;
  const input = h("input", { id: "key", type: "password", autocomplete: "off", required: true });
  const dialog = h(
    "dialog",
    { class: "key card" },
    h(
      "form",
      {
        method: "dialog",
        on: {
          submit: () => {
            useKey(input.value.trim());
            show();
          },
        },
      },
      h("h2", {}, hasKey() ? "That key was not accepted" : "This service wants an API key"),
      h("label", { for: "key" }, "API key"),
      input,
      h("p", { class: "muted" }, "Kept in this tab only, and forgotten when you close it."),
      h("button", { type: "submit", class: "primary" }, "Use this key"),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

window.addEventListener("hashchange", show);
window.addEventListener("key-wanted", askForKey);
show();
tellState();
