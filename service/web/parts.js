// Pieces that several pages show: messages, verdicts, facts.

import { h, put } from "./dom.js";
import { words } from "./format.js";

const GRADES = { good: "✓", usable: "!", bad: "✕" };
const NOTE_MS = 6000;

/** A refusal or failure in full: what, why, which field, and when to try again. */
export function problemCard(problem, retry = null) {
  const pointer = problem.pointer && problem.pointer !== "/" ? problem.pointer : null;
  return h(
    "div",
    { class: "card problem", role: "alert" },
    h("strong", {}, problem.title || "Something went wrong"),
    h("p", {}, problem.detail || problem.message),
    pointer && h("p", { class: "muted" }, "Field: ", h("code", {}, pointer)),
    problem.retryAfter && h("p", { class: "muted" }, `Try again in ${problem.retryAfter} s.`),
    retry && h("button", { type: "button", class: "quiet", on: { click: retry } }, "Try again"),
  );
}

/** Says something at the foot of the page for a few seconds, to screen readers too. */
export function notice(text, kind = "good") {
  const note = h("p", { class: `note ${kind}` }, text);
  document.getElementById("notes").append(note);
  setTimeout(() => note.remove(), NOTE_MS);
}

/** A verdict as a badge: a grade, "imported" (nobody judged it), or null (not calibrated). */
export function gradeBadge(grade) {
  return h(
    "span",
    { class: `badge ${GRADES[grade] ? grade : "none"}` },
    h("i", { "aria-hidden": "true" }, GRADES[grade] ?? "○"),
    grade ?? "not calibrated",
  );
}

/** Findings, each with what to do; those that say the same of several cameras stand together. */
export function findingsList(verdict) {
  const findings = verdict?.findings ?? [];
  if (findings.length === 0) return null;
  const groups = Map.groupBy(findings, ({ code, fix }) => `${code}\n${fix}`);
  return h("ul", { class: "findings" }, [...groups.values()].map(findingGroup));
}

function findingGroup(group) {
  const [{ code, fix }] = group;
  const bare = ({ camera, message }) => message.replace(`${camera}: `, "");
  const messages = Map.groupBy(group, bare);
  const cameras = (some) =>
    some
      .map(({ camera }) => camera)
      .filter(Boolean)
      .join(", ");
  return h(
    "li",
    {},
    h("strong", {}, words(code)),
    [...messages].map(([message, some]) => {
      const who = cameras(some);
      return h("span", {}, who && h("b", {}, `${who}: `), message);
    }),
    fix && h("span", { class: "fix" }, fix),
  );
}

/** Name and value pairs; pairs without a value are left out. */
export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

/** A table with a caption for screen readers; rows of cells, numbers right-aligned. */
export function table(caption, heads, rows) {
  return h(
    "div",
    { class: "table-wrap", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((head) => h("th", { scope: "col" }, head)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((cells) =>
          h(
            "tr",
            {},
            cells.map((cell) => h("td", {}, cell)),
          ),
        ),
      ),
    ),
  );
}

/** Grey shapes where something is being fetched. */
export function waiting(root, text = "Loading") {
  return put(
    root,
    h("div", { class: "waiting", role: "status" }, h("span", { class: "unseen" }, text)),
  );
}

/** What to show where there is nothing yet: a title, a sentence, perhaps a link or button. */
export function empty(title, text, ...actions) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), actions);
}
