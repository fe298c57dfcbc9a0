// A calibration at work: its steps as they come, then the report, findings first.

import { follow, path, read, save, send } from "../api.js";
import { camerasOf } from "../cameras.js";
import { h, put } from "../dom.js";
import { moment, words } from "../format.js";
import { notice, problemCard, waiting } from "../parts.js";
import { cameraTable, distanceTable, rigScene, verdictCard } from "../rig_parts.js";

const OVER = new Set(["done", "failed", "cancelled"]);

/** A job, followed until it is over. */
export async function showJob(root, [id], signal) {
  waiting(root);
  const job = await read(path.job(id), { signal });
  const body = h("div", { class: "page" });
  const seen = [];
  let close = null;
  put(root, headOf(job), body);
  const tell = async (now) => {
    if (now.progress.stage && seen.at(-1) !== now.progress.stage) seen.push(now.progress.stage);
    if (now.state === "done") close = await showReport(body, now, signal);
    else if (now.state === "failed") showFailure(body, now);
    else if (now.state === "cancelled") put(body, h("p", {}, "Cancelled. Nothing was changed."));
    else showProgress(body, now, seen);
  };
  if (OVER.has(job.state)) await tell(job);
  else {
    const listening = follow(
      path.jobEvents(id),
      (_name, now) => {
        tell(now).catch((error) => put(body, problemCard(error)));
        return OVER.has(now.state);
      },
      { signal },
    );
    listening.catch((error) => {
      if (error.name !== "AbortError")
        put(
          body,
          problemCard(error, () => showJob(root, [id], signal)),
        );
    });
  }
  return () => close?.();
}

function headOf(job) {
  const { board, square_mm: square } = job.request;
  return h(
    "header",
    { class: "head" },
    h("p", { class: "crumb" }, h("a", { href: `#/rigs/${encodeURIComponent(job.rig)}` }, job.rig)),
    h("h1", {}, "Calibration"),
    h(
      "p",
      { class: "muted" },
      `Board ${board}, squares of ${square} mm, begun ${moment(job.created)}`,
    ),
  );
}

function showProgress(root, job, seen) {
  const { stage, done, total } = job.progress;
  const cancel = async (event) => {
    event.target.disabled = true;
    await send("DELETE", path.job(job.id)).catch((error) => notice(error.message, "bad"));
  };
  const card =
    root.querySelector(".job") ?? put(root, h("section", { class: "card job" })).firstChild;
  // The card is kept and only its parts replaced, so a reader's focus on "Cancel" survives.
  if (!card.firstChild) {
    put(
      card,
      h("h2", { "aria-live": "polite" }),
      h("progress", { max: 1 }),
      h("ol", { class: "steps" }),
      h("button", { type: "button", class: "quiet", on: { click: cancel } }, "Cancel"),
    );
  }
  const [title, bar, steps] = card.children;
  const text = stage
    ? `${words(stage)}${total ? `: ${done} of ${total}` : ""}`
    : "Waiting for its turn";
  if (title.textContent !== text) title.textContent = text;
  if (total) bar.value = done / total;
  else bar.removeAttribute("value");
  put(
    steps,
    seen.map((name) => h("li", { class: name === stage ? "now" : "done" }, words(name))),
  );
}

function showFailure(root, job) {
  const problem = job.problem ?? {
    detail: "It failed without saying why; the service's log has more.",
  };
  put(
    root,
    problemCard({
      ...problem,
      title: problem.camera ? `Not calibrated: look at ${problem.camera}` : "Not calibrated",
    }),
    h(
      "p",
      {},
      h(
        "a",
        { class: "button", href: `#/rigs/${encodeURIComponent(job.rig)}/calibrate` },
        "Try with other footage",
      ),
    ),
  );
}

async function showReport(root, job, signal) {
  const [calibration, report] = await Promise.all([
    read(path.calibration(job.calibration), { signal }),
    read(path.calibrationReport(job.calibration), { signal }),
  ]);
  const cameras = camerasOf(calibration);
  const scene = rigScene(cameras, calibration.world);
  const activate = async () => {
    try {
      await send("POST", path.activate(job.calibration));
      notice(`Calibration ${job.calibration} is in force.`);
      location.hash = `#/rigs/${encodeURIComponent(job.rig)}`;
    } catch (error) {
      notice(error.message, "bad");
    }
  };
  // Fetched, not followed: a link would not carry the key.
  const getPage = async (event) => {
    event.preventDefault();
    const page = path.calibrationPage(job.calibration);
    await save(page, `${job.rig}-report.html`).catch((error) => notice(error.message, "bad"));
  };
  put(
    root,
    h(
      "div",
      { class: "rig-top report" },
      h(
        "div",
        { class: "stack" },
        verdictCard(calibration),
        h(
          "p",
          { class: "row" },
          calibration.active
            ? h(
                "a",
                { class: "button primary", href: `#/rigs/${encodeURIComponent(job.rig)}` },
                "In force: see the rig",
              )
            : h(
                "button",
                { type: "button", class: "primary", on: { click: activate } },
                "Put this calibration in force",
              ),
          h(
            "a",
            {
              class: "button",
              href: path.calibrationFile(job.calibration),
              download: `${job.rig}.yaml`,
            },
            "rig.yaml",
          ),
          h(
            "a",
            {
              class: "button",
              href: path.calibrationPage(job.calibration),
              download: `${job.rig}-report.html`,
              on: { click: getPage },
            },
            "Report with pictures",
          ),
        ),
        h("section", { class: "card" }, h("h2", {}, "Distances"), distanceTable(cameras)),
      ),
      scene.element,
    ),
    h("section", { class: "card" }, h("h2", {}, "Cameras"), cameraTable(cameras)),
    h(
      "details",
      { class: "card" },
      h("summary", {}, "The whole report"),
      h("pre", {}, h("code", {}, JSON.stringify(report, null, 1))),
    ),
  );
  return () => scene.close();
}
