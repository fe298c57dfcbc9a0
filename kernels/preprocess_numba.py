"""The loops behind :func:`kernels.preprocess.preprocess`, compiled."""

import numpy as np
from numpy.typing import NDArray

from .compiled import jit

__all__ = ["resize_bytes", "resize_planes"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Int = NDArray[np.int64]

# Unsigned, so that no index is looked at for being negative: 0.2 instead of 0.9 ms at 1080p.
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)


@jit
def _mix_rows(
    pixels: U8, first: int, last: int, first_weight: float, last_weight: float,
    middle_weight: float, sums: NDArray[np.uint16], row: F32,
) -> None:  # fmt: skip
    """One row of the result before its width changes.

    Whole rows are added up as integers, 16 at a time in a vector register; only the sum and the
    two rows that count in part are multiplied.
    """
    length = pixels.shape[1]
    top, bottom = np.float32(first_weight), np.float32(last_weight)
    between = np.float32(middle_weight)
    if last - first < 2:
        for i in range(length):
            row[i] = top * np.float32(pixels[first, i]) + bottom * np.float32(pixels[last, i])
        return
    whole = pixels[first + 1]
    for i in range(length):
        sums[i] = whole[i]
    for y in range(first + 2, last):
        whole = pixels[y]
        for i in range(length):
            sums[i] += whole[i]
    upper, lower = pixels[first], pixels[last]
    for i in range(length):
        row[i] = (
            top * np.float32(upper[i])
            + bottom * np.float32(lower[i])
            + between * np.float32(sums[i])
        )


@jit
def _mix_columns(
    row: F32, x: int, first: Int, last: Int, first_weight: F32, last_weight: F32,
    middle_weight: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Blue, green and red of one pixel."""
    low, high = _THREE * np.uint64(first[x]), _THREE * np.uint64(last[x])
    blue = green = red = np.float32(0)
    i = low + _THREE
    while i < high:
        blue += row[i]
        green += row[i + _ONE]
        red += row[i + _TWO]
        i += _THREE
    left, right, between = first_weight[x], last_weight[x], np.float32(middle_weight)
    return (
        between * blue + left * row[low] + right * row[high],
        between * green + left * row[low + _ONE] + right * row[high + _ONE],
        between * red + left * row[low + _TWO] + right * row[high + _TWO],
    )


@jit
def resize_bytes(
    pixels: U8,
    y_first: Int, y_last: Int, y_first_weight: F32, y_last_weight: F32, y_middle_weight: float,
    x_first: Int, x_last: Int, x_first_weight: F32, x_last_weight: F32, x_middle_weight: float,
    sums: NDArray[np.uint16], out: U8,
) -> None:  # fmt: skip
    """(H, W 3) into the corner of (h, w, 3), rounded."""
    row = np.empty(pixels.shape[1], dtype=np.float32)
    half = np.float32(0.5)
    for y in range(len(y_first)):
        _mix_rows(
            pixels, y_first[y], y_last[y], y_first_weight[y], y_last_weight[y], y_middle_weight,
            sums, row,
        )  # fmt: skip
        for x in range(len(x_first)):
            blue, green, red = _mix_columns(
                row, x, x_first, x_last, x_first_weight, x_last_weight, x_middle_weight
            )
            out[y, x, 0] = np.uint8(min(blue + half, np.float32(255)))
            out[y, x, 1] = np.uint8(min(green + half, np.float32(255)))
            out[y, x, 2] = np.uint8(min(red + half, np.float32(255)))


@jit
def resize_planes(
    pixels: U8,
    y_first: Int, y_last: Int, y_first_weight: F32, y_last_weight: F32, y_middle_weight: float,
    x_first: Int, x_last: Int, x_first_weight: F32, x_last_weight: F32, x_middle_weight: float,
    sums: NDArray[np.uint16], gain: F32, offset: F32, out: F32,
) -> None:  # fmt: skip
    """(H, W 3) into the corner of (3, h, w), red first and normalised."""
    row = np.empty(pixels.shape[1], dtype=np.float32)
    for y in range(len(y_first)):
        _mix_rows(
            pixels, y_first[y], y_last[y], y_first_weight[y], y_last_weight[y], y_middle_weight,
            sums, row,
        )  # fmt: skip
        for x in range(len(x_first)):
            blue, green, red = _mix_columns(
                row, x, x_first, x_last, x_first_weight, x_last_weight, x_middle_weight
            )
            out[0, y, x] = red * gain[0] + offset[0]
            out[1, y, x] = green * gain[1] + offset[1]
            out[2, y, x] = blue * gain[2] + offset[2]
