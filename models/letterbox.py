"""Fitting a picture into the network's input, and points back out of it.

Pixel (0, 0) is the centre of the top-left pixel, so a picture scaled by ``s`` moves the point
``x`` to ``(x + 0.5) * s - 0.5``. :func:`rescale` is the only place that says so; the pixels
themselves are moved by ``kernels.preprocess``, by the same rule.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import BadImage

__all__ = ["INPUT_MULTIPLE", "Letterbox", "fit_letterbox", "rescale", "to_image", "whole_side"]

F64: TypeAlias = NDArray[np.float64]

# The network halves its input five times; a side that is no multiple of 32 would not come back.
INPUT_MULTIPLE = 32


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How one picture lies in the network's input: scaled, then padded right and below."""

    scale: tuple[float, float]  # (x, y) input pixels per image pixel; equal up to rounding
    inner_px: tuple[int, int]  # (width, height) that the picture takes up
    outer_px: tuple[int, int]  # (width, height) of the input, multiples of 32


def rescale(points: F64, scale: tuple[float, float]) -> F64:
    """Points of a picture in the same picture resized by ``scale``.

    Args:
        points: (..., 2) x and y, pixel centres at whole numbers; NaN stays NaN.
        scale: (x, y) new size over old size.

    Returns:
        (..., 2)
    """
    return np.asarray((points + 0.5) * np.asarray(scale) - 0.5, dtype=np.float64)


def fit_letterbox(size_px: tuple[int, int], longer_px: int) -> Letterbox:
    """The smallest rectangle of whole blocks that holds the picture at the size asked for.

    Args:
        size_px: (width, height) of the picture.
        longer_px: what its longer side becomes, a multiple of 32.

    Raises:
        BadImage: the picture has no pixels.
    """
    width, height = size_px
    if width < 1 or height < 1:
        raise BadImage(f"image of {width} x {height} px has no pixels; send a whole image")
    scale = longer_px / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    outer = (_round_up(inner[0]), _round_up(inner[1]))
    # Resizing scales by the ratio of the rounded sizes, so that ratio is what inverts it.
    return Letterbox((inner[0] / width, inner[1] / height), inner, outer)


def to_image(points_input: F64, box: Letterbox) -> F64:
    """Points of the network's input in the picture.

    Args:
        points_input: (..., 2) input pixels.
        box: how the picture was fitted.

    Returns:
        (..., 2) pixels of the picture.
    """
    return rescale(points_input, (1 / box.scale[0], 1 / box.scale[1]))


def whole_side(side_px: float) -> int:
    """The nearest side that the network can look at, at least one block."""
    return max(INPUT_MULTIPLE, round(side_px / INPUT_MULTIPLE) * INPUT_MULTIPLE)


def _round_up(length_px: int) -> int:
    return math.ceil(length_px / INPUT_MULTIPLE) * INPUT_MULTIPLE
