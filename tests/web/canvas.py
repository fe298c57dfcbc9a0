"""What is painted on a canvas of the page, counted in the browser: it has a million pixels."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Page

_LOOK = """([selector, wanted]) => {
    const canvas = document.querySelector(selector);
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const context = copy.getContext("2d", {willReadFrequently: true});
    context.drawImage(canvas, 0, 0);
    const {buffer} = context.getImageData(0, 0, copy.width, copy.height).data;
    const pixels = new Uint32Array(buffer);
    const colours = new Set();
    let [hash, matches] = [0x811c9dc5, 0];
    for (const pixel of pixels) {
        hash = Math.imul(hash ^ pixel, 0x01000193) >>> 0;
        colours.add(pixel);
        if ((pixel & 0xffffff) === wanted) matches += 1;
    }
    return [colours.size, matches / pixels.length, hash];
}"""


@dataclass(frozen=True, slots=True)
class Painting:
    """A canvas as it is now."""

    colours: int  # how many different ones; a blank canvas has one
    share: float  # of the pixels that have the colour asked for
    fingerprint: int  # FNV-1a of all pixels, to tell whether it changed


def look(page: Page, selector: str, colour: tuple[int, int, int] = (0, 0, 0)) -> Painting:
    """The canvas, and how much of it has a colour (red, green, blue)."""
    red, green, blue = colour
    # Pixels are bytes red, green, blue, alpha, read as one little-endian word.
    return Painting(*page.evaluate(_LOOK, [selector, red | green << 8 | blue << 16]))
