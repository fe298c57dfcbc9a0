"""The figures of a run as a picture."""

import json
from pathlib import Path

import cv2
import numpy as np

__all__ = ["draw_curves"]

_PANEL = (320, 420)  # height, width in px
_MARGIN = 34
_SMOOTH = 9  # lines of the log averaged over
_INK, _PAPER, _LINE = (60, 60, 60), 255, (180, 90, 20)


def draw_curves(log: Path, picture: Path) -> None:
    """Draw every figure of a log over the steps, one panel each.

    Args:
        log: lines of JSON, each with a ``step``.
        picture: to write, .png.
    """
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    names = [name for name in dict.fromkeys(k for line in lines for k in line) if name != "step"]
    panels = [_panel(name, [(d["step"], d[name]) for d in lines if name in d]) for name in names]
    columns = 3
    panels += [np.full((*_PANEL, 3), _PAPER, np.uint8)] * (-len(panels) % columns)
    rows = [np.hstack(panels[k : k + columns]) for k in range(0, len(panels), columns)]
    cv2.imwrite(str(picture), np.vstack(rows))


def _panel(name: str, points: list[tuple[float, float]]) -> np.ndarray:
    height, width = _PANEL
    panel = np.full((height, width, 3), _PAPER, dtype=np.uint8)
    steps, values = np.asarray(points, dtype=np.float64).T
    if len(values) > 4 * _SMOOTH:
        kernel = np.ones(_SMOOTH) / _SMOOTH
        values = np.convolve(values, kernel, mode="valid")
        steps = steps[_SMOOTH // 2 : _SMOOTH // 2 + len(values)]
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 1e-9)
    x = _MARGIN + (steps - steps[0]) / max(steps[-1] - steps[0], 1) * (width - 2 * _MARGIN)
    y = height - _MARGIN - (values - low) / span * (height - 2 * _MARGIN)
    line = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(panel, [line], False, _LINE, 1, cv2.LINE_AA)
    for text, place in (
        (f"{name}: {values[-1]:.4g}", (_MARGIN, 20)),
        (f"{high:.4g}", (2, _MARGIN)),
        (f"{low:.4g}", (2, height - _MARGIN)),
        (f"{steps[-1]:.0f}", (width - 3 * _MARGIN, height - 8)),
    ):
        cv2.putText(panel, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)
    return panel
