// A chessboard as a drawing, to check the settings by eye.

import { s } from "./dom.js";

const MARGIN = 0.5; // of a square, white around the board

/** The board of inner corners columns x rows as an SVG element. */
export function boardDrawing(columns, rows) {
  const [across, down] = [columns + 1, rows + 1];
  const [width, height] = [across + 2 * MARGIN, down + 2 * MARGIN];
  const squares = [];
  for (let row = 0; row < down; row += 1) {
    for (let column = 0; column < across; column += 1) {
      if ((row + column) % 2 === 0) squares.push(`M${column + MARGIN} ${row + MARGIN}h1v1h-1z`);
    }
  }
  return s(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `Chessboard with ${columns} by ${rows} inner corners`,
    },
    s("rect", { width, height, fill: "#fff" }),
    s("path", { d: squares.join(""), fill: "#111" }),
  );
}

/** What is wrong with a board's counts and square, in a sentence, or null. */
export function boardProblem(columns, rows, squareMm) {
  if (!(columns >= 2 && rows >= 2)) return "A board needs at least 2 × 2 inner corners.";
  if (!(squareMm > 0)) return "Measure a square on the print; its side must be more than 0 mm.";
  if (columns % 2 === rows % 2) {
    return `${columns} × ${rows} inner corners look the same turned by half, so cameras cannot agree on the corners' order. Use one odd and one even count, for example ${columns} × ${rows + 1}.`;
  }
  return null;
}
