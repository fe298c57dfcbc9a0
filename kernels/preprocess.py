"""Pictures of different sizes become one batch of network input, in one pass over their pixels.

Definition: every picture is resized to its inner size, put in the upper left corner of the outer
rectangle and surrounded by black. An axis that shrinks averages the stretch of the picture that
falls on a pixel, parts of pixels counted as parts, so nothing aliases (OpenCV's INTER_AREA); an
axis that grows is interpolated linearly between pixel centres (INTER_LINEAR). With a
normalisation the result is RGB planes of float32, without one BGR bytes as they came.

A JPEG should be decoded at a half, a quarter or an eighth before this: that skips most of the
decoder's work. Imports neither PyTorch nor Triton; `kernels.preprocess_triton` does the same from
bytes that are on a GPU already.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .errors import BadOperand

__all__ = [
    "Normalisation",
    "Taps",
    "affine",
    "preprocess",
    "reference",
    "taps_of",
    "with_opencv",
]

U8: TypeAlias = NDArray[np.uint8]
F32: TypeAlias = NDArray[np.float32]

# Whole rows are summed in 16 bits; 257 rows of 255 just fit.
_MOST_ROWS_16 = 257


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What a network was trained to see: (value / 255 - mean) / std, red first."""

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Taps:
    """Which pixels make each pixel of the result along one axis, and how much they count."""

    first: NDArray[np.int64]  # (N,) first pixel
    last: NDArray[np.int64]  # (N,) last pixel, may be the first
    first_weight: F32  # (N,)
    last_weight: F32  # (N,) 0 where the last is the first
    middle_weight: float  # of every pixel between them


def preprocess(
    images: Sequence[U8],
    inner_px: Sequence[tuple[int, int]],
    outer_px: tuple[int, int],
    normalisation: Normalisation | None = None,
) -> NDArray[np.generic]:
    """A batch of network input, by the fastest way installed.

    Args:
        images: (H, W, 3) uint8 BGR each.
        inner_px: (width, height) that each picture becomes.
        outer_px: (width, height) of the input.
        normalisation: None for bytes.

    Returns:
        (B, outer height, outer width, 3) uint8 BGR, or (B, 3, outer height, outer width) float32
        RGB with a normalisation.

    Raises:
        BadOperand: no three-channel uint8 images, or an inner size outside the outer one.
    """
    _check(images, inner_px, outer_px)
    if not compiled():
        return with_opencv(images, inner_px, outer_px, normalisation)
    from .preprocess_numba import resize_bytes, resize_planes  # numba is imported on first use

    batch = _empty(len(images), outer_px, normalisation)
    gain, offset = affine(normalisation or Normalisation())
    for row, (image, inner) in enumerate(zip(images, inner_px, strict=True)):
        image = np.ascontiguousarray(image)
        down, right = taps_of(image.shape[0], inner[1]), taps_of(image.shape[1], inner[0])
        few = image.shape[0] <= _MOST_ROWS_16 * inner[1]
        sums = np.empty(image.shape[1] * 3, dtype=np.uint16 if few else np.uint32)
        taps = (
            *(down.first, down.last, down.first_weight, down.last_weight, down.middle_weight),
            *(right.first, right.last, right.first_weight, right.last_weight, right.middle_weight),
        )
        pixels = image.reshape(image.shape[0], -1)  # (H, W 3)
        if normalisation is None:
            resize_bytes(pixels, *taps, sums, batch[row])
        else:
            resize_planes(pixels, *taps, sums, gain, offset, batch[row])
    return batch


def reference(
    images: Sequence[U8],
    inner_px: Sequence[tuple[int, int]],
    outer_px: tuple[int, int],
    normalisation: Normalisation | None = None,
) -> NDArray[np.float64]:
    """The definition in float64, bytes not rounded. Arguments as :func:`preprocess`'s."""
    batch = _empty(len(images), outer_px, normalisation).astype(np.float64)
    for row, (image, (width, height)) in enumerate(zip(images, inner_px, strict=True)):
        down, right = (
            _matrix(taps_of(old, new), old)
            for old, new in ((image.shape[0], height), (image.shape[1], width))
        )
        inner = np.einsum("yh,xw,hwc->yxc", down, right, image.astype(np.float64), optimize=True)
        if normalisation is None:
            batch[row, :height, :width] = inner
        else:
            mean, std = np.asarray(normalisation.mean), np.asarray(normalisation.std)
            planes = (inner[..., ::-1] / 255 - mean) / std  # RGB
            batch[row, :, :height, :width] = planes.transpose(2, 0, 1)
    return batch


def with_opencv(
    images: Sequence[U8],
    inner_px: Sequence[tuple[int, int]],
    outer_px: tuple[int, int],
    normalisation: Normalisation | None = None,
) -> NDArray[np.generic]:
    """The same by OpenCV, several passes; arguments as :func:`preprocess`'s."""
    batch = _empty(len(images), outer_px, normalisation)
    gain, offset = affine(normalisation or Normalisation())
    for row, (image, inner) in enumerate(zip(images, inner_px, strict=True)):
        shrinks = inner[0] < image.shape[1] or inner[1] < image.shape[0]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(image, inner, interpolation=method))
        if normalisation is None:
            batch[row, : inner[1], : inner[0]] = small
        else:
            planes = small[..., ::-1].transpose(2, 0, 1) * gain[:, None, None]
            batch[row, :, : inner[1], : inner[0]] = planes + offset[:, None, None]
    return batch


@functools.lru_cache(maxsize=64)
def taps_of(old: int, new: int) -> Taps:
    """How ``new`` pixels are made of ``old`` ones along an axis; cameras send the same sizes."""
    places = np.arange(new, dtype=np.int64)
    if new < old:
        # Pixel i of the result is the stretch [i old, (i + 1) old) in units of 1 / new pixel.
        start, stop = places * old, (places + 1) * old
        first, last = start // new, (stop - 1) // new
        first_weight = (np.minimum((first + 1) * new, stop) - start) / old
        last_weight = np.where(last > first, (stop - last * new) / old, 0.0)
        return _taps(first, last, first_weight, last_weight, new / old)
    # Its centre lies at (i + 1/2) old / new - 1/2, here in units of 1 / (2 new) pixel.
    middle = np.clip((2 * places + 1) * old - new, 0, (old - 1) * 2 * new)
    first = middle // (2 * new)
    last = np.minimum(first + 1, old - 1)
    part = np.where(last > first, middle % (2 * new) / (2 * new), 0.0)
    return _taps(first, last, 1 - part, part, 0.0)


def _taps(
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    first_weight: NDArray[np.float64],
    last_weight: NDArray[np.float64],
    middle_weight: float,
) -> Taps:
    weights = first_weight.astype(np.float32), last_weight.astype(np.float32)
    for array in (first, last, *weights):  # kept and shared
        array.flags.writeable = False
    return Taps(first, last, *weights, float(np.float32(middle_weight)))


def _matrix(taps: Taps, old: int) -> NDArray[np.float64]:
    """(N, old) the same as a matrix."""
    matrix = np.zeros((len(taps.first), old))
    for row, (first, last) in enumerate(zip(taps.first, taps.last, strict=True)):
        matrix[row, first + 1 : last] = taps.middle_weight
        matrix[row, first] += taps.first_weight[row]
        matrix[row, last] += taps.last_weight[row]
    return matrix


def affine(normalisation: Normalisation) -> tuple[F32, F32]:
    """(3,) and (3,): a plane, red first, is byte x gain + offset."""
    std = np.asarray(normalisation.std)
    gain, offset = 1 / (255 * std), -np.asarray(normalisation.mean) / std
    return gain.astype(np.float32), offset.astype(np.float32)


def _empty(
    count: int, outer_px: tuple[int, int], normalisation: Normalisation | None
) -> NDArray[np.generic]:
    """A batch of black pictures."""
    width, height = outer_px
    if normalisation is None:
        return np.zeros((count, height, width, 3), dtype=np.uint8)
    batch = np.empty((count, 3, height, width), dtype=np.float32)
    batch[:] = affine(normalisation)[1][:, None, None]
    return batch


def _check(
    images: Sequence[U8], inner_px: Sequence[tuple[int, int]], outer_px: tuple[int, int]
) -> None:
    if len(images) != len(inner_px):
        raise BadOperand(f"{len(images)} images and {len(inner_px)} inner sizes; give one for each")
    for index, (image, inner) in enumerate(zip(images, inner_px, strict=True)):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise BadOperand(
                f"image {index} is {image.dtype} of shape {image.shape}; give height x width x 3 "
                "of uint8"
            )
        if not (0 < inner[0] <= outer_px[0] and 0 < inner[1] <= outer_px[1]):
            raise BadOperand(f"image {index} is to be {inner} px within {outer_px}; make it fit")
