"""Colours and strokes of all pictures: antialiased lines, discs and labels on BGR images."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.skeleton import COCO17

from .people import F64, NO_ID

__all__ = [
    "FAINT",
    "INK",
    "MIDDLE",
    "OUTLINE",
    "PAPER",
    "Color",
    "Image",
    "badge",
    "bone_color",
    "caption",
    "dot",
    "faded",
    "id_color",
    "line",
    "side_color",
]

Image = NDArray[np.uint8]
Color = tuple[int, int, int]  # BGR

LEFT: Color = (60, 150, 255)
RIGHT: Color = (255, 176, 64)
MIDDLE: Color = (236, 236, 236)
OUTLINE: Color = (28, 22, 18)
PAPER: Color = (30, 25, 22)
INK: Color = (225, 220, 214)
FAINT: Color = (128, 120, 112)
# Far apart in hue and of like lightness, so that neighbours in number are told apart.
_IDS: tuple[Color, ...] = (
    (120, 222, 120),
    (214, 120, 240),
    (90, 214, 250),
    (250, 170, 110),
    (130, 130, 250),
    (220, 220, 100),
    (180, 150, 255),
    (110, 190, 180),
)
SUBPIXEL = 4  # fractional bits OpenCV draws with


def id_color(identity: int) -> Color:
    """The colour of an identity, BGR; grey for people without one."""
    return FAINT if identity == NO_ID else _IDS[identity % len(_IDS)]


def side_color(joint: int) -> Color:
    """Warm for the person's left, cool for the right."""
    name = COCO17.joints[joint]
    return LEFT if name.startswith("left") else RIGHT if name.startswith("right") else MIDDLE


def bone_color(first: int, second: int, identity: int) -> Color:
    """A limb has its side's colour; what joins the sides has the identity's."""
    one, other = side_color(first), side_color(second)
    if one == other:
        return one
    if MIDDLE in (one, other):  # nose to eyes
        return one if other == MIDDLE else other
    return id_color(identity) if identity != NO_ID else MIDDLE


def faded(color: Color) -> Color:
    """The colour half way to grey, for people who are not in 3D."""
    b, g, r = ((channel + grey) // 2 for channel, grey in zip(color, FAINT, strict=True))
    return b, g, r


def line(canvas: Image, start: F64, end: F64, color: Color, width: float) -> None:
    """An antialiased line between two points given in pixels."""
    if not (_on(canvas, start) and _on(canvas, end)):
        return
    cv2.line(canvas, _fixed(start), _fixed(end), color, _whole(width), cv2.LINE_AA, SUBPIXEL)


def dot(canvas: Image, center: F64, color: Color, radius: float) -> None:
    """An antialiased disc."""
    if _on(canvas, center):
        size = max(1, round(radius * 2**SUBPIXEL))
        cv2.circle(canvas, _fixed(center), size, color, -1, cv2.LINE_AA, SUBPIXEL)


def badge(
    canvas: Image, text: str, center: tuple[float, float], color: Color, scale: float
) -> None:
    """Dark text on a filled rounded label, kept inside the picture."""
    weight = _whole(scale * 1.6)
    (text_w, text_h), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    pad = round(0.45 * text_h)
    half_w, half_h = text_w / 2 + pad, (text_h + base) / 2 + pad * 0.6
    height, wide = canvas.shape[:2]
    x = float(np.clip(center[0], half_w, max(half_w, wide - half_w)))
    y = float(np.clip(center[1], half_h, max(half_h, height - half_h)))
    left, right = np.array([x - half_w + half_h, y]), np.array([x + half_w - half_h, y])
    line(canvas, left, right, color, 2 * half_h)
    origin = (round(x - text_w / 2), round(y + text_h / 2))
    cv2.putText(canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, OUTLINE, weight, cv2.LINE_AA)


def caption(canvas: Image, text: str, origin: tuple[int, int], scale: float, color: Color) -> None:
    """Plain text; `origin` is its lower left corner."""
    weight = _whole(scale * 1.6)
    cv2.putText(canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, color, weight, cv2.LINE_AA)


def _fixed(point: F64) -> tuple[int, int]:
    return round(float(point[0]) * 2**SUBPIXEL), round(float(point[1]) * 2**SUBPIXEL)


def _whole(width: float) -> int:
    return max(1, round(width))


def _on(canvas: Image, point: F64) -> bool:
    """Whether a point lies near the picture: far ones overflow OpenCV's fixed-point numbers."""
    return bool(np.isfinite(point).all() and (np.abs(point) < 8 * max(canvas.shape[:2])).all())
