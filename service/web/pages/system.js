// How the service is doing: ready or not, queue, model, what it has done and how fast.

import { path, Problem, read, readText } from "../api.js";
import { h, put } from "../dom.js";
import { fixed, words } from "../format.js";
import { samplesOf, quantileOf } from "../metrics.js";
import { facts, waiting } from "../parts.js";

const EVERY_MS = 5000;

/** State, numbers and links of the service, refreshed while the page is looked at. */
export async function showSystem(root, _names, signal) {
  waiting(root);
  const body = h("div", { class: "system" });
  const refresh = async () => {
    const [ready, text] = await Promise.all([
      readiness(signal),
      readText(path.metrics(), { signal }).catch(() => ""),
    ]);
    put(body, stateCard(ready), numbers(samplesOf(text)));
  };
  await refresh();
  put(root, h("header", { class: "head" }, h("h1", {}, "System")), body, links());
  const timer = setInterval(() => {
    if (!document.hidden) refresh().catch(() => {});
  }, EVERY_MS);
  return () => clearInterval(timer);
}

/** The answer of /health/ready, also where it says no. */
async function readiness(signal) {
  try {
    return { ok: true, ...(await read(path.ready(), { signal })) };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ok: false, problem: error };
  }
}

function stateCard(ready) {
  return h(
    "section",
    { class: `card state-card ${ready.ok ? "good" : "bad"}` },
    h("h2", {}, ready.ok ? "Ready" : "Not ready"),
    !ready.ok && h("p", {}, ready.problem.detail),
    ready.ok &&
      facts([
        ["Model", ready.model?.name],
        [
          "Weights",
          ready.model && h("code", { title: ready.model.sha256 }, ready.model.sha256.slice(0, 12)),
        ],
        ["Queue", `${ready.queue.tasks} of ${ready.queue.limit}`],
        ["Workers in this process", `${ready.workers}`],
        ["Version", ready.version],
      ]),
  );
}

function numbers(samples) {
  const total = (name, labels) =>
    samples
      .filter((one) => one.name === name && labels(one.labels))
      .reduce((sum, one) => sum + one.value, 0);
  const gauge = (name) => samples.find((one) => one.name === name)?.value ?? null;
  const stages = [
    ...new Set(
      samples
        .filter((one) => one.name === "quadglass_stage_seconds_count")
        .map((one) => one.labels.stage),
    ),
  ];
  const failed = total("quadglass_frame_sets_total", ({ outcome }) => outcome !== "ok");
  const tiles = [
    [
      "Frame sets answered",
      fixed(
        total("quadglass_frame_sets_total", ({ outcome }) => outcome === "ok"),
        0,
      ),
    ],
    ["Refused or failed", fixed(failed, 0)],
    ["People in 3D", fixed(gauge("quadglass_people_total"), 0)],
    ["Waiting now", fixed(gauge("quadglass_queue_tasks"), 0)],
    ["Oldest waiting", fixed(gauge("quadglass_queue_oldest_seconds"), 2, "s")],
    ["Warm workers", fixed(gauge("quadglass_workers_warm"), 0)],
  ];
  return [
    h(
      "section",
      { class: "tiles", "aria-label": "Since the service started" },
      tiles.map(([name, value]) =>
        h(
          "div",
          { class: "card tile" },
          h("strong", {}, value),
          h("span", { class: "muted" }, name),
        ),
      ),
    ),
    stages.length > 0 &&
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Time in each step"),
        stageTable(samples, stages),
      ),
  ];
}

function stageTable(samples, stages) {
  const rows = stages.map((stage) => {
    const of = (suffix) =>
      samples.filter(
        (one) => one.name === `quadglass_stage_seconds_${suffix}` && one.labels.stage === stage,
      );
    const count = of("count")[0].value;
    return {
      stage,
      mean: (1000 * of("sum")[0].value) / (count || 1),
      p95: 1000 * quantileOf(of("bucket"), 0.95),
    };
  });
  const longest = Math.max(...rows.map((row) => row.p95));
  return h(
    "dl",
    { class: "bars" },
    rows.map((row) =>
      h(
        "div",
        { style: { "--share": row.mean / longest, "--over": row.p95 / longest } },
        h("dt", {}, words(row.stage)),
        h(
          "dd",
          {},
          `${fixed(row.mean, 1, "ms")} mean · ≤ ${fixed(row.p95, row.p95 < 10 ? 1 : 0, "ms")} in 95 %`,
        ),
      ),
    ),
  );
}

function links() {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "For programs"),
    h(
      "ul",
      { class: "plain" },
      h("li", {}, h("a", { href: "/docs" }, "API, with every endpoint")),
      h("li", {}, h("a", { href: "/openapi.json" }, "OpenAPI document")),
      h("li", {}, h("a", { href: path.metrics() }, "Metrics for Prometheus")),
    ),
  );
}
