// Numbers out of Prometheus text.

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples of a metrics page: [{name, labels, value}]. */
export function samplesOf(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const match = line.startsWith("#") ? null : LINE.exec(line);
    if (!match) continue;
    const labels = Object.fromEntries(
      [...(match[2] ?? "").matchAll(LABEL)].map(([, key, value]) => [key, value]),
    );
    samples.push({ name: match[1], labels, value: Number(match[3].replace("+Inf", "Infinity")) });
  }
  return samples;
}

/** The upper edge of the histogram bucket in which the share q of the observations lies. */
export function quantileOf(buckets, q) {
  const edges = buckets
    .map(({ labels, value }) => [Number(labels.le.replace("+Inf", "Infinity")), value])
    .sort((a, b) => a[0] - b[0]);
  const all = edges.at(-1)?.[1] ?? 0;
  const found = edges.find(([, count]) => count >= q * all)?.[0] ?? 0;
  return Number.isFinite(found) ? found : (edges.at(-2)?.[0] ?? 0);
}
