// Try a picture: drop a photo, see who is in it.

import { path, send } from "../api.js";
import { h, onSize, put, sharpContext } from "../dom.js";
import { dropPlace } from "../drop.js";
import { fixed, plural, words } from "../format.js";
import { problemCard, table } from "../parts.js";
import { JOINTS } from "../skeleton.js";
import { drawPicture, drawSkeleton, placement } from "../take/view.js";
import { idColour, onScheme, palette } from "../theme.js";
import { showTimings } from "../take/panel.js";

const FIRST_LEAST = 0.15;

/** The place to drop a photo, and what the service found in the last one. */
export async function showPicture(root, _names, signal) {
  const result = h("div", { class: "picture-result" });
  const stops = [];
  const look = async (file) => {
    stops.splice(0).forEach((stop) => stop());
    put(
      result,
      h(
        "div",
        { class: "waiting picture-waiting", role: "status" },
        h("span", {}, `Looking at ${file.name}`),
      ),
    );
    const form = new FormData();
    form.append("image", file, file.name);
    const began = performance.now();
    try {
      const [answer, bitmap] = await Promise.all([
        send("POST", path.images(), form, { signal }),
        // A browser that cannot show the format can still hear what was found.
        createImageBitmap(file).catch(() => null),
      ]);
      stops.push(showAnswer(result, answer, bitmap, performance.now() - began));
    } catch (error) {
      if (error.name !== "AbortError")
        put(
          result,
          problemCard(error, () => look(file)),
        );
    }
  };
  const paste = (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) look(file);
  };
  document.addEventListener("paste", paste);
  put(
    root,
    h(
      "header",
      { class: "head" },
      h("h1", {}, "Try a picture"),
      h(
        "p",
        { class: "muted" },
        "One photo, no rig: the network finds people in it. Nothing is kept.",
      ),
    ),
    dropPlace({
      title: "Drop a photo, or choose one",
      hint: "JPEG, PNG, WebP, BMP or TIFF; pasting works too",
      accept: "image/*",
      onFiles: ([{ file }]) => look(file),
    }),
    result,
  );
  return () => {
    document.removeEventListener("paste", paste);
    stops.forEach((stop) => stop());
  };
}

/** Puts picture, skeletons and numbers into a root; returns a stop. */
function showAnswer(root, answer, bitmap, tookMs) {
  const photo = annotatedPhoto(answer, bitmap);
  const timings = h("div", {});
  showTimings(timings, answer.timings_ms);
  const { people, size_px: size } = answer;
  put(
    root,
    h("div", { class: "photo-box" }, photo.element),
    h(
      "section",
      { class: "card photo-facts" },
      h("h2", {}, people.length ? plural(people.length, "person", "people") : "Nobody found"),
      h(
        "p",
        { class: "muted" },
        `${size[0]} × ${size[1]} px · answered in ${fixed(tookMs, 0, "ms")} · ${answer.model.name}`,
      ),
      people.length
        ? peopleOf(people, photo.choose)
        : h(
            "p",
            {},
            "The network works best on upright people who fill at least a fifth of the picture's height.",
          ),
      h("label", { for: "least" }, "Leave out joints below this score"),
      leastSlider(photo.setLeast),
      timings,
      h(
        "details",
        {},
        h("summary", {}, "The answer as JSON"),
        h("pre", {}, h("code", {}, JSON.stringify(answer, null, 1))),
      ),
    ),
  );
  return photo.close;
}

/** The photo with its people drawn in: {element, choose (a person, again: all), setLeast, close}. */
function annotatedPhoto({ people, size_px: size }, bitmap) {
  const element = h("canvas", {
    class: "photo",
    role: "img",
    "aria-label": `The photo with ${plural(people.length, "person", "people")} drawn in`,
    style: {
      "aspect-ratio": `${size[0]} / ${size[1]}`,
      "max-width": `min(100%, calc(72vh * ${size[0] / size[1]}))`,
    },
  });
  const state = { least: FIRST_LEAST, chosen: null, size: null };
  const paint = () => {
    if (!state.size) return;
    const context = sharpContext(element, ...state.size);
    const place = placement(state.size, size, null);
    context.fillStyle = palette().dark ? "#070b10" : "#dfe5eb";
    context.fillRect(0, 0, ...state.size);
    if (bitmap) drawPicture(context, bitmap, place, size);
    people.forEach((person, index) => {
      context.globalAlpha = state.chosen !== null && state.chosen !== index ? 0.25 : 1;
      drawSkeleton(context, person.joints_px, place, idColour(index), {
        least: state.least,
        big: true,
      });
      context.globalAlpha = 1;
    });
  };
  const stops = [
    onSize(element, (width, height) => {
      state.size = [width, height];
      paint();
    }),
    onScheme(paint),
  ];
  const change = (values) => {
    Object.assign(state, values);
    paint();
  };
  return {
    element,
    choose: (index) => change({ chosen: state.chosen === index ? null : index }),
    setLeast: (least) => change({ least }),
    close: () => stops.forEach((stop) => stop()),
  };
}

function leastSlider(onLeast) {
  const tell = ({ target }) => {
    target.style.setProperty("--done", target.value);
    onLeast(Number(target.value));
  };
  return h("input", {
    id: "least",
    type: "range",
    min: 0,
    max: 1,
    step: 0.01,
    value: FIRST_LEAST,
    style: { "--done": FIRST_LEAST },
    on: { input: tell },
  });
}

function peopleOf(people, choose) {
  return h(
    "div",
    { class: "people" },
    people.map((person, index) => {
      const seen = person.joints_px.filter(Boolean).length;
      return h(
        "details",
        { on: { toggle: () => choose(index) } },
        h(
          "summary",
          {},
          h("span", { class: "id", style: { "--id": idColour(index) } }, index + 1),
          `score ${fixed(person.score, 2)}, ${seen} of ${JOINTS.length} joints`,
        ),
        table(
          `Joints of person ${index + 1}`,
          ["joint", "x, px", "y, px", "score"],
          person.joints_px.map((joint, which) => [
            words(JOINTS[which]),
            fixed(joint?.[0]),
            fixed(joint?.[1]),
            fixed(joint?.[2], 2),
          ]),
        ),
      );
    }),
  );
}
