// Numbers as people read them. Missing is a dash, never a zero.

const DASH = "–";

/** A number with a fixed count of decimals, or a dash. */
export function fixed(value, decimals = 1, unit = "") {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  // -0.004 with two decimals is 0.00, not -0.00.
  const rounded = Number(value.toFixed(decimals)) || 0;
  const text = rounded.toLocaleString("en", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
  return unit ? `${text} ${unit}` : text;
}

/** A share of one as a percentage. */
export function percent(value) {
  return Number.isFinite(value) ? `${Math.round(value * 100)} %` : DASH;
}

/** "1 camera", "4 cameras". */
export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** Seconds as m:ss.cc. */
export function clock(seconds) {
  if (!Number.isFinite(seconds)) return DASH;
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

/** A moment in the reader's own time zone; takes ISO text, nanoseconds or a Date. */
export function moment(value) {
  if (value === null || value === undefined || value === "") return DASH;
  const date = typeof value === "number" ? new Date(value / 1e6) : new Date(value);
  if (Number.isNaN(date.getTime())) return String(value);
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** A size of bytes. */
export function bytes(count) {
  if (!Number.isFinite(count)) return DASH;
  const units = ["B", "kB", "MB", "GB"];
  let power = 0;
  for (; count >= 1000 && power < units.length - 1; power += 1) count /= 1000;
  return `${count.toFixed(power === 0 || count >= 100 ? 0 : 1)} ${units[power]}`;
}

/** "left_knee" as "left knee". */
export function words(name) {
  return String(name).replaceAll("_", " ");
}
