// A place to drop files on, which is also an ordinary file button for keyboard and screen reader.

import { h } from "./dom.js";

let count = 0;

/**
 * A drop place. `onFiles` hears a list of {file, path}; the path keeps the folder of a dropped
 * folder ("cam0/0001.jpg"). accept: as of a file input; folders: let the button choose a folder;
 * small: on one line.
 */
export function dropPlace({
  title,
  hint,
  accept = "",
  multiple = false,
  folders = false,
  small = false,
  onFiles,
}) {
  count += 1;
  const id = `drop-${count}`;
  const input = h("input", { id, type: "file", accept, multiple, class: "drop-input" });
  if (folders) input.webkitdirectory = true;
  const place = h(
    "label",
    { class: small ? "drop small" : "drop", for: id },
    input,
    h("span", { class: "drop-icon", "aria-hidden": "true" }, "↥"),
    h("strong", {}, title),
    h("span", { class: "muted" }, hint),
  );
  const over = (on) => (event) => {
    event.preventDefault();
    place.classList.toggle("over", on);
  };
  input.addEventListener("change", () => {
    const files = [...input.files].map((file) => ({
      file,
      path: file.webkitRelativePath || file.name,
    }));
    input.value = "";
    if (files.length) onFiles(files);
  });
  place.addEventListener("dragenter", over(true));
  place.addEventListener("dragover", over(true));
  place.addEventListener("dragleave", over(false));
  place.addEventListener("drop", async (event) => {
    over(false)(event);
    const files = await droppedFiles(event.dataTransfer);
    if (files.length) onFiles(multiple || folders ? files : files.slice(0, 1));
  });
  return place;
}

/** All files of a drop, folders opened, in the order of their paths. */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const files = (await Promise.all(entries.map((entry) => filesUnder(entry, "")))).flat();
  return files.sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));
}

async function filesUnder(entry, folder) {
  const path = `${folder}${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path }];
  }
  const reader = entry.createReader();
  const children = [];
  for (;;) {
    // readEntries gives at most 100 at a time, an empty list at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break;
    children.push(...some);
  }
  return (await Promise.all(children.map((child) => filesUnder(child, `${path}/`)))).flat();
}
