"""Network input from bytes that are on the GPU: as :mod:`kernels.preprocess` defines it.

One launch for a batch of pictures of different sizes. The pictures lie one after the other in one
buffer of bytes; a small table says where each begins and what becomes of it, so that a CUDA graph
can be replayed with other pictures. Speed: not measured, no GPU was at hand.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Device code is typed by tl.constexpr and by what the launcher passes; mypy knows neither.

from collections.abc import Sequence
from contextlib import nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

from .errors import BadOperand
from .preprocess import Normalisation

__all__ = ["preprocess_on_gpu", "table_of"]

PIXELS_BLOCK = 256
_COLUMNS = 5  # of the table: first byte, height, width, inner height, inner width


@triton.jit
def _ends(place, old, new):
    """First and last pixel of each pixel of the result along an axis, and their weights.

    All positions are whole numbers of 1 / new or 1 / (2 new) pixels, so nothing is rounded.
    """
    if new < old:
        start, stop = place * old, place * old + old
        first, last = start // new, (stop - 1) // new
        whole = old.to(tl.float32)
        head = (tl.minimum((first + 1) * new, stop) - start).to(tl.float32) / whole
        tail = tl.where(last > first, (stop - last * new).to(tl.float32) / whole, 0.0)
    else:
        middle = tl.minimum(tl.maximum((2 * place + 1) * old - new, 0), (old - 1) * 2 * new)
        first = middle // (2 * new)
        last = tl.minimum(first + 1, old - 1)
        part = (middle - first * 2 * new).to(tl.float32) / (2 * new).to(tl.float32)
        tail = tl.where(last > first, part, 0.0)
        head = 1.0 - tail
    return first, last, head, tail


@triton.jit
def _weight(pixel, first, last, head, tail, between):
    inside = tl.where(pixel == first, head, tl.where(pixel == last, tail, between))
    return tl.where(pixel > last, 0.0, inside)


@triton.jit
def letterbox_kernel(
    pixels_ptr, table_ptr, out_ptr, stride_b, stride_c, stride_y, stride_x,
    gain_r, gain_g, gain_b, offset_r, offset_g, offset_b, height, width, blocks,
    WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One block of pixels of one picture's input: resized, red first, normalised."""
    picture, block = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(0) % blocks
    row = table_ptr + picture * 5
    base = pixels_ptr + tl.load(row)
    old_h, old_w = tl.load(row + 1), tl.load(row + 2)
    new_h, new_w = tl.load(row + 3), tl.load(row + 4)
    places = block * BLOCK + tl.arange(0, BLOCK).to(tl.int64)
    y, x = places // width, places % width
    drawn = (y < new_h) & (x < new_w)
    first_y, last_y, head_y, tail_y = _ends(y, old_h, new_h)
    first_x, last_x, head_x, tail_x = _ends(x, old_w, new_w)
    between_y, between_x = new_h.to(tl.float32) / old_h, new_w.to(tl.float32) / old_w

    red = tl.zeros((BLOCK,), tl.float32)
    green = tl.zeros((BLOCK,), tl.float32)
    blue = tl.zeros((BLOCK,), tl.float32)
    for step_y in range(tl.maximum(tl.cdiv(old_h, new_h), 1) + 1):
        at_y = first_y + step_y
        weight_y = _weight(at_y, first_y, last_y, head_y, tail_y, between_y)
        for step_x in range(tl.maximum(tl.cdiv(old_w, new_w), 1) + 1):
            at_x = first_x + step_x
            weight = weight_y * _weight(at_x, first_x, last_x, head_x, tail_x, between_x)
            there = drawn & (at_y <= last_y) & (at_x <= last_x)
            where = base + (at_y * old_w + at_x) * 3
            blue += weight * tl.load(where, mask=there, other=0).to(tl.float32)
            green += weight * tl.load(where + 1, mask=there, other=0).to(tl.float32)
            red += weight * tl.load(where + 2, mask=there, other=0).to(tl.float32)

    if WHOLE:
        red, green, blue = tl.floor(red + 0.5), tl.floor(green + 0.5), tl.floor(blue + 0.5)
    out = out_ptr + picture * stride_b + y * stride_y + x * stride_x
    inside = y < height
    kind = out_ptr.dtype.element_ty
    tl.store(out, (red * gain_r + offset_r).to(kind), mask=inside)
    tl.store(out + stride_c, (green * gain_g + offset_g).to(kind), mask=inside)
    tl.store(out + 2 * stride_c, (blue * gain_b + offset_b).to(kind), mask=inside)


def table_of(sizes_px: Sequence[tuple[int, int]], inner_px: Sequence[tuple[int, int]]) -> Tensor:
    """What :func:`preprocess_on_gpu` must know of pictures that lie one after the other.

    Args:
        sizes_px: (width, height) of each picture.
        inner_px: (width, height) that each becomes.

    Returns:
        (B, 5) int64 on the CPU.
    """
    rows, first = [], 0
    for (width, height), (inner_width, inner_height) in zip(sizes_px, inner_px, strict=True):
        if min(width, height, inner_width, inner_height) < 1:
            raise BadOperand(f"{width} x {height} px to {inner_width} x {inner_height}: no pixels")
        rows.append([first, height, width, inner_height, inner_width])
        first += 3 * width * height
    return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), _COLUMNS)


def preprocess_on_gpu(
    pixels: Tensor,
    table: Tensor,
    outer_px: tuple[int, int],
    normalisation: Normalisation | None = None,
    *,
    dtype: torch.dtype = torch.float16,
    whole_bytes: bool = False,
) -> Tensor:
    """A batch of network input.

    Args:
        pixels: (N,) uint8, the pictures' BGR bytes one after the other.
        table: from :func:`table_of`, on the same device.
        outer_px: (width, height) of the input; inner sizes lie within it.
        normalisation: what the network was trained to see; None for values / 255.
        dtype: of the result.
        whole_bytes: round resized values to bytes first, as the path without a GPU does where it
            hands bytes to a network.

    Returns:
        (B, 3, outer height, outer width) RGB in channels-last memory.

    Raises:
        BadOperand: operands of other types, shapes or devices.
    """
    if pixels.dtype != torch.uint8 or pixels.dim() != 1 or not pixels.is_contiguous():
        raise BadOperand(f"pixels are {pixels.dtype} {tuple(pixels.shape)}; give flat bytes")
    if table.dtype != torch.int64 or table.dim() != 2 or table.shape[1] != _COLUMNS:
        raise BadOperand(f"table is {table.dtype} {tuple(table.shape)}; use table_of")
    if table.device != pixels.device:
        raise BadOperand(f"table on {table.device}, pixels on {pixels.device}; bring them together")
    width, height = outer_px
    out = torch.empty(
        (len(table), 3, height, width),
        dtype=dtype,
        device=pixels.device,
        memory_format=torch.channels_last,
    )
    rules = normalisation or Normalisation()
    gain = [1 / (255 * std) for std in rules.std]
    offset = [-mean / std for mean, std in zip(rules.mean, rules.std, strict=True)]
    blocks = triton.cdiv(height * width, PIXELS_BLOCK)
    with torch.cuda.device(pixels.device) if pixels.is_cuda else nullcontext():
        if len(table) * blocks:
            letterbox_kernel[(len(table) * blocks,)](
                *(pixels, table.contiguous(), out, *out.stride(), *gain, *offset),
                *(height, width, blocks),
                WHOLE=whole_bytes,
                BLOCK=PIXELS_BLOCK,
            )
    return out
