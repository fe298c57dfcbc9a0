"""Backgrounds and cloth drawn by chance alone, for training data that owes nothing to a photo."""

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_pattern", "make_patterns"]

F32: TypeAlias = NDArray[np.float32]
U8: TypeAlias = NDArray[np.uint8]

_COARSEST = 3  # cells of the coarsest noise along a side
_MOST_SHAPES = 24


def make_patterns(folder: Path, count: int, side: int = 512, seed: int = 0) -> Path:
    """Write ``images/*.jpg`` as ``read_backgrounds`` wants them.

    Args:
        folder: to make.
        count: pictures.
        side: px.
        seed: same seed, same pictures.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for index in range(count):
        picture = draw_pattern(side, np.random.default_rng([seed, index]))
        cv2.imwrite(str(folder / f"images/{index:04d}.jpg"), picture)
    return folder


def draw_pattern(side: int, rng: np.random.Generator) -> U8:
    """Noise with the spectrum of photos (amplitude falls as 1 / frequency), then plain shapes.

    Returns:
        (side, side, 3) BGR.
    """
    picture = np.full((side, side, 3), rng.uniform(40, 215, 3), dtype=np.float32)
    cells, height = _COARSEST, rng.uniform(30, 80)
    while cells < side:
        noise = rng.normal(0, 1, (cells, cells, 3)) * rng.uniform(0.3, 1, 3)
        noise += rng.normal(0, 1, (cells, cells, 1))  # most of it is light, not colour
        grown = cv2.resize(noise.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        picture += height * np.asarray(grown, dtype=np.float32)
        cells, height = cells * 2, height / 2
    for _ in range(int(rng.integers(_MOST_SHAPES))):
        _draw_shape(picture, rng)
    if rng.random() < 0.5:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 3)), np.float32)
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def _draw_shape(picture: F32, rng: np.random.Generator) -> None:
    """A polygon, a disc or a bar, drawn in place, half of them see-through."""
    side = len(picture)
    color = rng.uniform(0, 255, 3).tolist()
    over = picture.copy()
    kind = int(rng.integers(3))
    center = rng.integers(0, side, 2)
    if kind == 0:
        points = center + rng.integers(-side // 3, side // 3, (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(over, [points.astype(np.int32)], color)
    elif kind == 1:
        cv2.circle(over, center.tolist(), int(rng.integers(4, side // 5)), color, -1)
    else:
        end = rng.integers(0, side, 2).tolist()
        cv2.line(over, center.tolist(), end, color, int(rng.integers(2, side // 12)))
    share = 1.0 if rng.random() < 0.5 else rng.uniform(0.2, 0.8)
    picture += np.float32(share) * (over - picture)
