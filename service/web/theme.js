// Colours for what is drawn on a canvas: read from the style sheet, so one place decides.

const ID_COUNT = 8;
const dark = window.matchMedia("(prefers-color-scheme: dark)");
let cached = null;
dark.addEventListener("change", () => {
  cached = null;
});

/** The canvas colours of the scheme in use. */
export function palette() {
  if (cached) return cached;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  cached = {
    dark: dark.matches,
    ground: colour("scene"),
    fog: colour("scene-far"),
    grid: colour("grid"),
    line: colour("line"),
    text: colour("text"),
    muted: colour("muted"),
    accent: colour("accent"),
    ids: Array.from({ length: ID_COUNT }, (_, index) => colour(`id-${index}`)),
  };
  return cached;
}

/** The colour of an identity; a person without one is grey. */
export function idColour(id) {
  const { ids, muted } = palette();
  return Number.isInteger(id) && id >= 0 ? ids[id % ids.length] : muted;
}

/** Calls back when the reader switches between dark and light; returns a stop. */
export function onScheme(callback) {
  dark.addEventListener("change", callback);
  return () => dark.removeEventListener("change", callback);
}

/** A #rrggbb colour mixed with another, `share` of the other in [0, 1]. */
export function mix(colour, other, share) {
  const [a, b] = [channels(colour), channels(other)];
  const mixed = a.map((value, index) => Math.round(value + (b[index] - value) * share));
  return `rgb(${mixed.join(",")})`;
}

/** A #rrggbb colour with an opacity. */
export function faded(colour, alpha) {
  return `rgba(${channels(colour).join(",")},${alpha})`;
}

function channels(colour) {
  const value = Number.parseInt(colour.replace("#", ""), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}
