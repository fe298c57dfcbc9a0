// Names: of rigs out of file names, of cameras out of folders, of files out of headers.

const PICTURE = /\.(jpe?g|png|bmp|tiff?|webp|pgm)$/i;
const ALLOWED = /[^A-Za-z0-9._-]+/g;

/** A name the service accepts, made of any text. */
export function safeName(text) {
  return text
    .replace(ALLOWED, "-")
    .replace(/^[-._]+|[-._]+$/g, "")
    .slice(0, 60);
}

/** A file's name without its folders and endings ("shots/rig.qca.txt" gives "rig"). */
export function stem(path) {
  return path.split("/").at(-1).split(".")[0];
}

/** The file name in a Content-Disposition header, or null. */
export function fileOf(disposition) {
  return /filename="?([^";]+)"?/.exec(disposition ?? "")?.[1] ?? null;
}

/**
 * Dropped files by camera: of "cam0/0001.jpg" and "shots/cam0/0001.jpg" the folder, of "cam0.mp4"
 * and "cam0.zip" the file's own name; pictures without a folder are one more camera. `taken` are
 * names in use. Returns a Map in natural order.
 */
export function byCamera(files, taken = []) {
  const cameras = new Map();
  let loose = 0;
  while (taken.includes(`cam${loose}`)) loose += 1;
  const sorted = [...files].sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));
  for (const file of sorted) {
    const folders = file.path.split("/").slice(0, -1);
    const own = PICTURE.test(file.path) ? `cam${loose}` : stem(file.path);
    const name = safeName(folders.at(-1) ?? own) || "camera";
    cameras.set(name, [...(cameras.get(name) ?? []), file]);
  }
  return cameras;
}
