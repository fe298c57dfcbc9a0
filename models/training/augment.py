"""What cameras and weather do to a picture, without moving anything in it."""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["augment"]

F32: TypeAlias = NDArray[np.float32]
U8: TypeAlias = NDArray[np.uint8]


def augment(image: U8, rng: np.random.Generator) -> U8:
    """A picture under other light, through another lens, behind something, compressed.

    Args:
        image: (S, S, 3) BGR.
        rng: source of chance.
    """
    seen = image.astype(np.float32)
    if rng.random() < 0.15:
        _cover(seen, rng)
    if rng.random() < 0.8:
        seen = seen * rng.uniform(0.7, 1.3) + rng.uniform(-25, 25)
    if rng.random() < 0.5:
        seen = seen * rng.uniform(0.85, 1.15, 3).astype(np.float32)
    if rng.random() < 0.1:
        seen = np.repeat(seen.mean(2, keepdims=True), 3, axis=2)
    if rng.random() < 0.12:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.5, 1.5)), dtype=np.float32)
    elif rng.random() < 0.08:
        seen = _moved(seen, rng)
    if rng.random() < 0.2:
        noise = rng.standard_normal(seen.shape, dtype=np.float32)
        seen = seen + noise * np.float32(rng.uniform(2, 10))
    result = np.clip(seen, 0, 255).astype(np.uint8)
    return _compressed(result, rng) if rng.random() < 0.15 else result


def _cover(seen: F32, rng: np.random.Generator) -> None:
    """A plain rectangle in front of the scene; joints behind it stay to be guessed."""
    side = seen.shape[0]
    left, top = rng.integers(0, side - side // 6, 2)
    width, height = rng.integers(side // 12, side // 3, 2)
    seen[top : top + height, left : left + width] = rng.integers(0, 256, 3)


def _moved(seen: F32, rng: np.random.Generator) -> F32:
    """Motion blur along a random direction."""
    length = int(rng.integers(3, 9))
    kernel = np.zeros((length, length), dtype=np.float32)
    angle = rng.uniform(0, np.pi)
    middle = (length - 1) / 2
    for step in np.linspace(-middle, middle, 2 * length):
        row, column = middle + step * np.sin(angle), middle + step * np.cos(angle)
        kernel[round(float(row)), round(float(column))] = 1
    blurred = cv2.filter2D(seen, -1, kernel / kernel.sum())
    return np.asarray(blurred, dtype=np.float32)


def _compressed(image: U8, rng: np.random.Generator) -> U8:
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), dtype=np.uint8)
