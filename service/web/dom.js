// Elements, made without markup strings, so nothing that came from outside is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element.
 *
 * `on` holds listeners, `data` data-attributes, `style` custom properties and styles (set through
 * the object model, which a strict content policy allows). true writes an empty attribute; false,
 * null and undefined write none. Children: nodes, text, numbers, arrays; null and false are skipped.
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element; see `h`. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** The same element with its children replaced. */
export function put(element, ...children) {
  element.replaceChildren();
  return fill(element, {}, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value))
        element.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else if (name === "style") {
      for (const [property, text] of Object.entries(value))
        element.style.setProperty(property, text);
    } else if (name === "value" || name === "checked" || name === "selected") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Calls back with the element's (width, height) in CSS pixels now and at every change; returns a stop. */
export function onSize(element, callback) {
  const observer = new ResizeObserver(([entry]) => {
    const { width, height } = entry.contentRect;
    if (width > 0 && height > 0) callback(width, height);
  });
  observer.observe(element);
  return () => observer.disconnect();
}

/** The canvas's context with one unit = one CSS pixel, sharp on dense screens. */
export function sharpContext(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2.5);
  const [w, hgt] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== hgt) Object.assign(canvas, { width: w, height: hgt });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
