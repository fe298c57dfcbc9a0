// How fast moments come and how late they are shown, over the last seconds. Holds: those moments.

import { quantile } from "../vec.js";

const WINDOW_MS = 3000;
// Recorded films are sent with times of their own; a delay is told of pictures taken now.
const LIVE_WITHIN_MS = 60_000;

/** Counts moments: `note` each, `read` the numbers. */
export class Meter {
  constructor() {
    this.moments = [];
  }

  /** A moment was shown; timestampNs is when it was taken. */
  note(timestampNs, now = performance.now(), wall = Date.now()) {
    const late = wall - timestampNs / 1e6;
    this.moments.push({ now, late: Math.abs(late) < LIVE_WITHIN_MS ? late : null });
    this.forget(now);
  }

  /** {rate: moments a second or null, latency: median milliseconds or null}. */
  read(now = performance.now()) {
    this.forget(now);
    const { moments } = this;
    const span = moments.length > 1 ? moments.at(-1).now - moments[0].now : 0;
    const late = moments.map((moment) => moment.late).filter((value) => value !== null);
    return {
      rate: span > 0 ? ((moments.length - 1) * 1000) / span : null,
      latency: late.length ? quantile(late, 0.5) : null,
    };
  }

  forget(now) {
    while (this.moments.length && now - this.moments[0].now > WINDOW_MS) this.moments.shift();
  }
}
