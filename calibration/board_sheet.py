"""The board as a sheet to print: PDF or SVG at true scale, with a ruler to check the printer by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

import cv2
import numpy as np

from .board import Board
from .errors import BadBoard

__all__ = ["board_pdf", "board_svg"]

QUIET_SQUARES = 1.0  # white around the board, without which detectors miss its outer squares
RULER_MM = 100.0
FOOT_MM = 14.0  # under the board: the ruler and what the board is
# (name, short side, long side) in mm; a board too large for all gets a page of its own size
PAPERS = (
    ("A4", 210.0, 297.0),
    ("A3", 297.0, 420.0),
    ("A2", 420.0, 594.0),
    ("A1", 594.0, 841.0),
    ("A0", 841.0, 1189.0),
)
LARGEST_MM = 5000.0  # what a PDF page can be, with room to spare


@dataclass(frozen=True, slots=True)
class _Sheet:
    paper: str
    size_mm: tuple[float, float]
    board_mm: tuple[float, float]  # upper left corner of the first square
    ruler_mm: tuple[float, float]  # its left end
    note: str


def board_pdf(board: Board) -> bytes:
    """A PDF page with the board at true scale, on the smallest A paper that holds it.

    Raises:
        BadBoard: a sheet larger than any printer's.
    """
    from fpdf import FPDF  # half a second that only printing pays

    sheet = _sheet(board)
    pdf = FPDF(unit="mm", format=sheet.size_mm)
    pdf.set_auto_page_break(False)
    pdf.set_margin(0)
    pdf.set_title(sheet.note)
    pdf.add_page()
    pdf.set_fill_color(0)
    for x, y, width, height in _dark_mm(board):
        pdf.rect(sheet.board_mm[0] + x, sheet.board_mm[1] + y, width, height, style="F")
    left, top = sheet.ruler_mm
    pdf.set_line_width(0.3)
    for x1, y1, x2, y2 in _ruler_mm():
        pdf.line(left + x1, top + y1, left + x2, top + y2)
    pdf.set_font("helvetica", size=8)
    pdf.text(left, top + 7.0, sheet.note)
    return bytes(pdf.output())


def board_svg(board: Board) -> str:
    """The same sheet as SVG.

    Raises:
        BadBoard: a sheet larger than any printer's.
    """
    sheet = _sheet(board)
    width, height = sheet.size_mm
    dark = "".join(f"M{x:g} {y:g}h{w:g}v{h:g}h{-w:g}z" for x, y, w, h in _dark_mm(board))
    ruler = "".join(f"M{x1:g} {y1:g}L{x2:g} {y2:g}" for x1, y1, x2, y2 in _ruler_mm())
    left, top = sheet.ruler_mm
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm" '
        f'viewBox="0 0 {width:g} {height:g}"><title>{escape(sheet.note)}</title>'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<path transform="translate({sheet.board_mm[0]:g} {sheet.board_mm[1]:g})" d="{dark}"/>'
        f'<g transform="translate({left:g} {top:g})"><path d="{ruler}" stroke="#000" '
        f'stroke-width="0.3"/><text y="7" font-family="sans-serif" font-size="2.8">'
        f"{escape(sheet.note)}</text></g></svg>\n"
    )


def _sheet(board: Board) -> _Sheet:
    square = board.square_m * 1000.0
    columns, rows = board.inner_corners
    width, height = (columns + 1) * square, (rows + 1) * square
    quiet = max(QUIET_SQUARES * square, 10.0)
    # Prints leave the last millimetres of a paper white anyway; a narrow margin is enough there.
    edge = min(quiet, 8.0)
    need = (max(width, RULER_MM) + 2 * edge, height + 2 * edge + FOOT_MM)
    paper, size = _paper(need, (max(width, RULER_MM) + 2 * quiet, height + 2 * quiet + FOOT_MM))
    if max(size) > LARGEST_MM:
        raise BadBoard(
            f"a sheet of {size[0] / 1000:.1f} x {size[1] / 1000:.1f} m is more than a page can be; "
            "give a smaller square_mm, or have the SVG scaled by the print shop",
            field="/square_mm",
        )
    left = (size[0] - width) / 2
    top = (size[1] - FOOT_MM - height) / 2
    kind = f"{columns} x {rows} inner corners"
    if board.kind == "charuco":
        kind = f"ChArUco {columns + 1} x {rows + 1} squares, {board.dictionary}"
    note = (
        f"{kind}, {square:g} mm. Print on {paper} at 100 %, not fitted to the page; the line is "
        f"{RULER_MM:g} mm. Measure a square and glue the sheet on something flat and stiff."
    )
    return _Sheet(paper, size, (left, top), (edge, size[1] - FOOT_MM), note)


def _paper(need: tuple[float, float], own: tuple[float, float]) -> tuple[str, tuple[float, float]]:
    """The smallest paper that holds `need`, turned as the board is; else a page of size `own`."""
    for name, short, long in PAPERS:
        ways = [(f"{name} upright", (short, long)), (f"{name} across", (long, short))]
        for way, size in reversed(ways) if need[0] > need[1] else ways:
            if need[0] <= size[0] and need[1] <= size[1]:
                return way, size
    return f"{own[0]:.0f} x {own[1]:.0f} mm", own


def _ruler_mm() -> Iterator[tuple[float, float, float, float]]:
    yield 0.0, 0.0, RULER_MM, 0.0
    for x in np.arange(0.0, RULER_MM + 1.0, 10.0):
        yield float(x), 0.0, float(x), 3.0 if x % 50 == 0 else 1.5


def _dark_mm(board: Board) -> Iterator[tuple[float, float, float, float]]:
    """(x, y, width, height) of what is printed black, from the first square's upper left corner."""
    square = board.square_m * 1000.0
    columns, rows = board.inner_corners[0] + 1, board.inner_corners[1] + 1
    if board.inverted:
        yield from _inverted(board, square, columns, rows)
        return
    for row in range(rows):
        for column in range(columns):
            if (row + column) % 2 == 0:
                yield column * square, row * square, square, square
    if board.kind == "charuco":
        for x, y, side, dark in _markers(board):
            yield from _cells(x * square, y * square, side * square, dark)


def _inverted(
    board: Board, square: float, columns: int, rows: int
) -> Iterator[tuple[float, float, float, float]]:
    """White on black: all that would be white, and a black frame for the quiet zone."""
    frame = QUIET_SQUARES * square / 2
    width, height = columns * square, rows * square
    yield -frame, -frame, width + 2 * frame, frame
    yield -frame, height, width + 2 * frame, frame
    yield -frame, 0.0, frame, height
    yield width, 0.0, frame, height
    for x, y, side, dark in _markers(board):
        left, top, size = x * square, y * square, side * square
        around = (square - size) / 2
        yield left - around, top - around, square, around
        yield left - around, top + size, square, around
        yield left - around, top, around, size
        yield left + size, top, around, size
        yield from _cells(left, top, size, ~dark)


def _markers(board: Board) -> Iterator[tuple[float, float, float, np.ndarray]]:
    """(x, y, side) in squares and the (n, n) dark cells of each marker, its black border too."""
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    squares = (board.inner_corners[0] + 1, board.inner_corners[1] + 1)
    print_board = cv2.aruco.CharucoBoard(squares, 1.0, board.marker_ratio, dictionary)
    cells = dictionary.markerSize + 2
    ids = np.asarray(print_board.getIds()).reshape(-1)
    for marker, corners in zip(ids, print_board.getObjPoints(), strict=True):
        picture = cv2.aruco.generateImageMarker(dictionary, int(marker), cells)
        x, y = np.asarray(corners, np.float64).reshape(4, 3)[:, :2].min(axis=0)
        yield float(x), float(y), board.marker_ratio, np.asarray(picture) < 128


def _cells(
    left: float, top: float, side: float, dark: np.ndarray
) -> Iterator[tuple[float, float, float, float]]:
    """Runs of dark cells, a rectangle each, so that no hairline shows between neighbours."""
    cell = side / len(dark)
    for row, line in enumerate(dark):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
        for start, stop in edges.reshape(-1, 2):
            yield left + start * cell, top + row * cell, (stop - start) * cell, cell
