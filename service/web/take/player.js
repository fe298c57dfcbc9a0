// The clock of a take: which frame is shown now. Holds: index, playing, speed, loop.

/** A player over moments in seconds; `onIndex` hears every change of frame, `onState` of playing. */
export class Player {
  constructor(seconds, onIndex, onState) {
    Object.assign(this, {
      seconds,
      onIndex,
      onState,
      index: 0,
      playing: false,
      speed: 1,
      loop: true,
    });
    this.tick = this.tick.bind(this);
  }

  /** Goes to a frame, kept inside the take. */
  seek(index) {
    const kept = Math.min(this.seconds.length - 1, Math.max(0, Math.round(index)));
    this.began = null;
    if (kept === this.index) return;
    this.index = kept;
    this.onIndex(kept);
  }

  /** Goes some frames on or back; stops playing. */
  step(frames) {
    this.pause();
    this.seek(this.index + frames);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.seconds.length < 2 || this.playing) return;
    if (this.index === this.seconds.length - 1) this.seek(0);
    this.playing = true;
    this.began = null;
    this.onState(true);
    this.request = requestAnimationFrame(this.tick);
  }

  pause() {
    cancelAnimationFrame(this.request);
    if (!this.playing) return;
    this.playing = false;
    this.onState(false);
  }

  setSpeed(speed) {
    this.speed = speed;
    this.began = null;
  }

  tick(now) {
    if (!this.playing) return;
    this.began ??= { now, at: this.seconds[this.index] };
    const at = this.began.at + ((now - this.began.now) / 1000) * this.speed;
    if (at > this.seconds.at(-1)) {
      if (!this.loop) {
        this.show(this.seconds.length - 1);
        this.pause();
        return;
      }
      this.show(0);
      this.began = null;
    } else {
      this.show(this.frameAt(at));
    }
    this.request = requestAnimationFrame(this.tick);
  }

  show(index) {
    if (index === this.index) return;
    this.index = index;
    this.onIndex(index);
  }

  /** The last frame not later than a moment. */
  frameAt(seconds) {
    let [low, high] = [0, this.seconds.length - 1];
    while (low < high) {
      const half = Math.ceil((low + high) / 2);
      if (this.seconds[half] <= seconds) low = half;
      else high = half - 1;
    }
    return low;
  }
}
