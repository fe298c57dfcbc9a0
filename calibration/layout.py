"""How the pictures of several cameras lie in one picture."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import BadLayout
from .rig_schema import MAX_CAMERAS

# A smaller part shows no board that could be measured.
MIN_SIDE_PX = 64

Box = tuple[int, int, int, int]  # x, y, width, height


@dataclass(frozen=True, slots=True)
class Layout:
    """A grid of equal parts, or explicit boxes; cameras count row by row."""

    text: str
    grid: tuple[int, int] | None  # columns x rows
    boxes: tuple[Box, ...] = ()

    def boxes_in(self, size_px: tuple[int, int]) -> tuple[Box, ...]:
        """The parts of a picture of that size.

        Raises:
            BadLayout: a part lies outside the picture, or is too small.
        """
        width, height = size_px
        boxes = self.boxes
        if self.grid is not None:
            columns, rows = self.grid
            w, h = width // columns, height // rows
            boxes = tuple((c * w, r * h, w, h) for r in range(rows) for c in range(columns))
        for index, (x, y, w, h) in enumerate(boxes):
            if x + w > width or y + h > height:
                raise BadLayout(
                    f"box {index + 1} ({x},{y},{w},{h}) ends at ({x + w}, {y + h}), outside the "
                    f"{width}x{height} picture; correct the boxes",
                    field="/layout",
                )
            if min(w, h) < MIN_SIDE_PX:
                raise BadLayout(
                    f"box {index + 1} is {w}x{h}, under {MIN_SIDE_PX} a side, in a "
                    f"{width}x{height} picture; correct the layout",
                    field="/layout",
                )
        return boxes


def parse_layout(text: str) -> Layout:
    """The layout that a text describes.

    Args:
        text: `2x2`, `4x1`, `1x4` (columns x rows), or boxes `x,y,w,h;x,y,w,h;…` in pixels.

    Raises:
        BadLayout: it is not understood, or two boxes overlap.
    """
    stripped = text.strip()
    grid = re.fullmatch(r"([1-9]\d?)x([1-9]\d?)", stripped)
    if grid is not None:
        columns, rows = int(grid[1]), int(grid[2])
        if not 2 <= columns * rows <= MAX_CAMERAS:
            raise BadLayout(
                f"layout {stripped!r} has {columns * rows} parts; 2 to {MAX_CAMERAS} are possible",
                field="/layout",
            )
        return Layout(stripped, (columns, rows))
    number = r"\s*\d{1,6}\s*"
    box = rf"{number},{number},{number},{number}"
    if not re.fullmatch(rf"{box}(;{box})*;?", stripped):
        raise BadLayout(
            f"layout {stripped[:80]!r} is not understood; write 2x2, 4x1, 1x4 or boxes x,y,w,h;…",
            field="/layout",
        )
    boxes: list[Box] = []
    for part in stripped.rstrip(";").split(";"):
        x, y, w, h = (int(value) for value in part.split(","))
        boxes.append((x, y, w, h))
    _check_boxes(boxes)
    return Layout(stripped, None, tuple(boxes))


def _check_boxes(boxes: list[Box]) -> None:
    if not 2 <= len(boxes) <= MAX_CAMERAS:
        raise BadLayout(
            f"the layout has {len(boxes)} boxes; 2 to {MAX_CAMERAS} are possible", field="/layout"
        )
    for i, (x, y, w, h) in enumerate(boxes):
        for j, (x2, y2, w2, h2) in enumerate(boxes[:i]):
            if x < x2 + w2 and x2 < x + w and y < y2 + h2 and y2 < y + h:
                raise BadLayout(
                    f"boxes {j + 1} and {i + 1} overlap; every camera needs a part of its own",
                    field="/layout",
                )
