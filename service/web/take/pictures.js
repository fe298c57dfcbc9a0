// The pictures of a take: fetched ahead of the player, the oldest forgotten.

import { readBlob } from "../api.js";

const KEPT = 480;
const AHEAD = 10;

/** Pictures by frame and camera. `addressOf(sequence, camera)` tells where each lies. */
export class Pictures {
  constructor(frames, cameras, addressOf) {
    Object.assign(this, { frames, cameras, addressOf, cache: new Map() });
  }

  /** All pictures of a frame as a Map from camera to image, null where there is none. */
  async of(index) {
    const images = await Promise.all(
      this.cameras.map((camera) => this.pictureOf(this.frames[index], camera)),
    );
    return new Map(this.cameras.map((camera, which) => [camera, images[which]]));
  }

  /** Starts to fetch the pictures of the frames after this one. */
  ahead(index, step = 1) {
    for (let next = 1; next <= AHEAD; next += 1) {
      const frame = this.frames[index + next * step];
      if (frame) for (const camera of this.cameras) this.pictureOf(frame, camera);
    }
  }

  /** A view that was not posted has no picture and is not asked for. */
  pictureOf({ posted, sequence }, camera) {
    return posted && !posted.includes(camera) ? null : this.fetch(sequence, camera);
  }

  fetch(sequence, camera) {
    const address = this.addressOf(sequence, camera);
    const known = this.cache.get(address);
    if (known) {
      this.cache.delete(address);
      this.cache.set(address, known);
      return known;
    }
    // Where no picture was kept the page shows the joints alone.
    const loaded = readBlob(address)
      .then(createImageBitmap)
      .catch(() => null);
    this.cache.set(address, loaded);
    if (this.cache.size > KEPT) this.forgetOldest();
    return loaded;
  }

  forgetOldest() {
    const [address, picture] = this.cache.entries().next().value;
    this.cache.delete(address);
    picture.then((bitmap) => bitmap?.close());
  }
}
