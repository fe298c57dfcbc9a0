// Binary messages of live streams, as service/framing.py has them: length, JSON header, pictures.

const HEAD_BYTES = 4;

/** A message as bytes: pictures is a Map of camera name to Blob or Uint8Array. */
export async function packed(timestampNs, pictures) {
  const parts = await Promise.all(
    [...pictures].map(async ([camera, picture]) => ({
      camera,
      data: picture instanceof Blob ? new Uint8Array(await picture.arrayBuffer()) : picture,
    })),
  );
  const views = parts.map(({ camera, data }) => ({ camera, bytes: data.length }));
  // Nanoseconds since 1970 are beyond what a number holds exactly: written as text into the JSON.
  const header = new TextEncoder().encode(
    `{"timestamp_ns": ${timestampNs}, "views": ${JSON.stringify(views)}}`,
  );
  const length = new Uint8Array(HEAD_BYTES);
  new DataView(length.buffer).setUint32(0, header.length, true);
  return new Blob([length, header, ...parts.map(({ data }) => data)]);
}

/** What a message (ArrayBuffer) holds: {sequence, pictures: Map of camera name to Blob}. */
export function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(buffer, HEAD_BYTES, length));
  const header = JSON.parse(text);
  const pictures = new Map();
  let at = HEAD_BYTES + length;
  for (const { camera, bytes } of header.views) {
    pictures.set(camera, new Blob([new Uint8Array(buffer, at, bytes)], { type: "image/jpeg" }));
    at += bytes;
  }
  return { sequence: header.sequence, pictures };
}
