"""Line charts on a picture: axes with round numbers, series with gaps, drawn like the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .paint import FAINT, INK, Color, Image, caption
from .people import F64

__all__ = ["Panel", "Series", "draw_panel", "draw_plan"]

GRID: Color = (58, 50, 45)
GROUND: Color = (40, 34, 30)
FONT = 0.42
MARGIN_PX = (58, 14, 30, 30)  # left, right, top, bottom, for numbers and title
SUBPIXEL = 4  # fractional bits OpenCV draws with


@dataclass(frozen=True, slots=True)
class Series:
    """One line: N points, NaN is a gap."""

    x: F64  # (N,)
    y: F64  # (N,)
    color: Color
    name: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart."""

    title: str
    series: Sequence[Series]
    x_range: tuple[float, float]
    y_range: tuple[float, float] | None = None  # None: of the series, 0.5 % cut off at each end


def draw_panel(canvas: Image, box_xywh: tuple[int, int, int, int], panel: Panel) -> None:
    """The chart in that part of the picture."""
    y_range = panel.y_range or _range_of([series.y for series in panel.series])
    frame = _framed(canvas, box_xywh, panel.title, panel.x_range, y_range)
    for series in panel.series:
        _polyline(canvas, frame, series)
    x, y, wide, _ = box_xywh
    at = x + wide - MARGIN_PX[1]
    for series in reversed(panel.series):
        if series.name:
            (width, _), _ = cv2.getTextSize(series.name, cv2.FONT_HERSHEY_SIMPLEX, FONT, 1)
            at -= width + 12
            caption(canvas, series.name, (at, y + 20), FONT, series.color)


def draw_plan(
    canvas: Image,
    box_xywh: tuple[int, int, int, int],
    title: str,
    paths: Sequence[Series],
    marks: Sequence[tuple[str, F64]],
) -> None:
    """Paths seen from above, a metre as long both ways.

    Args:
        canvas: BGR.
        box_xywh: the part to draw in.
        title: over it.
        paths: x and y in metres.
        marks: a name and (2,) place each, cameras for instance.
    """
    across = [path.x for path in paths] + [np.array([place[0]]) for _, place in marks]
    along = [path.y for path in paths] + [np.array([place[1]]) for _, place in marks]
    x_range, y_range = _whole_range(across), _whole_range(along)
    _, _, wide, high = box_xywh
    inner_w = wide - MARGIN_PX[0] - MARGIN_PX[1]
    inner_h = high - MARGIN_PX[2] - MARGIN_PX[3]
    metre = min(inner_w / (x_range[1] - x_range[0]), inner_h / (y_range[1] - y_range[0]))
    x_range, y_range = _stretched(x_range, inner_w / metre), _stretched(y_range, inner_h / metre)
    frame = _framed(canvas, box_xywh, title, x_range, y_range)
    for name, place in marks:
        spot = frame.pixels(place[:1], place[1:])[0]
        cv2.drawMarker(canvas, (round(spot[0]), round(spot[1])), FAINT, cv2.MARKER_TRIANGLE_UP, 12)
        caption(canvas, name, (round(spot[0]) + 9, round(spot[1]) + 4), FONT, FAINT)
    for path in paths:
        _polyline(canvas, frame, path)
        there = np.flatnonzero(np.isfinite(path.x) & np.isfinite(path.y))
        if len(there):
            start, end = frame.pixels(path.x[there[[0, -1]]], path.y[there[[0, -1]]])
            cv2.circle(canvas, (round(start[0]), round(start[1])), 5, path.color, 1, cv2.LINE_AA)
            cv2.circle(canvas, (round(end[0]), round(end[1])), 4, path.color, -1, cv2.LINE_AA)
            caption(canvas, path.name, (round(end[0]) + 8, round(end[1]) - 6), FONT, path.color)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values lie on the picture."""

    box: tuple[int, int, int, int]  # x, y, width, height inside the margins
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def pixels(self, x: F64, y: F64) -> F64:
        """(N, 2) of values."""
        left, top, wide, high = self.box
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        across = left + (x - x0) / (x1 - x0) * wide
        down = top + (y1 - np.clip(y, y0, y1)) / (y1 - y0) * high
        return np.stack([across, down], axis=-1)


def _framed(
    canvas: Image,
    box_xywh: tuple[int, int, int, int],
    title: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> _Frame:
    """Ground, grid, numbers and title."""
    left, right, top, bottom = MARGIN_PX
    x, y, wide, high = box_xywh
    box = (x + left, y + top, wide - left - right, high - top - bottom)
    frame = _Frame(box, x_range, y_range)
    cv2.rectangle(canvas, box[:2], (box[0] + box[2], box[1] + box[3]), GROUND, -1)
    values, step = _ticks(y_range, max(3, box[3] // 40))
    for value in values:
        row = round(float(frame.pixels(np.zeros(1), np.array([value]))[0, 1]))
        cv2.line(canvas, (box[0], row), (box[0] + box[2], row), GRID, 1)
        _number(canvas, value, step, (box[0] - 6, row + 4), right_aligned=True)
    values, step = _ticks(x_range, max(2, box[2] // 90))
    for value in values:
        column = round(float(frame.pixels(np.array([value]), np.zeros(1))[0, 0]))
        cv2.line(canvas, (column, box[1]), (column, box[1] + box[3]), GRID, 1)
        _number(canvas, value, step, (column, box[1] + box[3] + 16), right_aligned=False)
    caption(canvas, title, (box[0], y + 20), FONT * 1.15, INK)
    return frame


def _polyline(canvas: Image, frame: _Frame, series: Series) -> None:
    points = frame.pixels(series.x, series.y)
    # Dense lines are thin, or they become a band.
    width = 1 if len(points) > frame.box[2] else 2
    there = np.isfinite(points).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        run = np.round(points[start:stop] * 2**SUBPIXEL).astype(np.int32)
        if len(run) == 1:
            center = (int(run[0, 0]), int(run[0, 1]))
            cv2.circle(canvas, center, 2**SUBPIXEL, series.color, -1, cv2.LINE_AA, SUBPIXEL)
            continue
        cv2.polylines(canvas, [run], False, series.color, width, cv2.LINE_AA, SUBPIXEL)


def _number(
    canvas: Image, value: float, step: float, origin: tuple[int, int], *, right_aligned: bool
) -> None:
    digits = max(0, int(np.ceil(-np.log10(step) - 1e-9)))
    text = f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no minus before zero
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, FONT, 1)
    shift = width if right_aligned else width // 2
    caption(canvas, text, (origin[0] - shift, origin[1]), FONT, FAINT)


def _ticks(span: tuple[float, float], most: int) -> tuple[list[float], float]:
    """Round numbers inside the range, 1, 2 or 5 times a power of ten apart, and how far."""
    rough = (span[1] - span[0]) / most
    power = 10.0 ** float(np.floor(np.log10(rough)))
    step = next(k * power for k in (1.0, 2.0, 5.0, 10.0) if k * power >= rough * 0.999)
    first, last = int(np.ceil(span[0] / step - 1e-9)), int(np.floor(span[1] / step + 1e-9))
    return [number * step for number in range(first, last + 1)], step


def _range_of(rows: Sequence[F64]) -> tuple[float, float]:
    """What the values span, a few gross outliers aside, with room around it."""
    values = np.concatenate([np.zeros(0), *rows])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = (float(edge) for edge in np.quantile(values, [0.005, 0.995]))
    room = max(0.06 * (high - low), 1e-3 * max(abs(low), abs(high)), 1e-6)
    return low - room, high + room


def _whole_range(rows: Sequence[F64]) -> tuple[float, float]:
    """All values, with half a metre around them."""
    values = np.concatenate([np.zeros(0), *rows])
    values = values[np.isfinite(values)]
    return (float(values.min()) - 0.5, float(values.max()) + 0.5) if len(values) else (-1.0, 1.0)


def _stretched(span: tuple[float, float], length: float) -> tuple[float, float]:
    middle = (span[0] + span[1]) / 2
    return middle - length / 2, middle + length / 2
