"""Peaks and their tags on CUDA, batched over views: as :mod:`kernels.peaks` defines them.

Two kernels with PyTorch's top-k between them: one writes the heatmaps with everything but peaks
set to zero, one refines the chosen cells and gathers their tags. Nothing waits for the host, so
a CUDA graph can record it. Speed: not measured, no GPU was at hand.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Device code is typed by tl.constexpr and by what the launcher passes; mypy knows neither.

from contextlib import nullcontext
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from .errors import BadOperand
from .peaks import TINY, PeakRules

__all__ = ["PeaksOnGpu", "find_peaks_on_gpu"]

CELLS_BLOCK = 1024
_TINY = tl.constexpr(TINY)


class PeaksOnGpu(NamedTuple):
    """Peaks of each view and joint as in :class:`kernels.peaks.Peaks`, and their whole cells."""

    cells: Tensor  # (V, J, K, 2) x and y, float32
    scores: Tensor  # (V, J, K) float32
    tags: Tensor  # (V, J, K, D) float32
    places: Tensor  # (V, J, K) int64 y * W + x of the peak's cell, anything where the score is 0


@triton.jit
def suppress_kernel(
    heat_ptr, out_ptr, stride_v, stride_j, stride_y, stride_x,
    joints, height, width, blocks, floor,
    REACH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One block of cells of one map: their height where they are peaks, else 0."""
    plane, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    view, joint = (plane // joints).to(tl.int64), (plane % joints).to(tl.int64)
    cells = block * BLOCK + tl.arange(0, BLOCK)
    inside = cells < height * width
    y, x = cells // width, cells % width
    base = heat_ptr + view * stride_v + joint * stride_j
    value = tl.load(base + y * stride_y + x * stride_x, mask=inside, other=0.0).to(tl.float32)
    stays = value > floor
    for dy in tl.static_range(-REACH, REACH + 1):
        for dx in tl.static_range(-REACH, REACH + 1):
            v, u = y + dy, x + dx
            there = inside & (v >= 0) & (v < height) & (u >= 0) & (u < width)
            near = tl.load(base + v * stride_y + u * stride_x, mask=there, other=-float("inf"))
            # The other way round would let a NaN hide its neighbours.
            stays = stays & ((near.to(tl.float32) > value) == 0)
    out = out_ptr + plane.to(tl.int64) * height * width + cells
    tl.store(out, tl.where(stays, value, 0.0), mask=inside)


@triton.jit
def _vertex(base, offset, step, middle, inside):
    """Vertex of the parabola through three logarithms, within half a cell; 0 on the border."""
    before = tl.load(base + offset - step, mask=inside, other=1.0).to(tl.float32)
    after = tl.load(base + offset + step, mask=inside, other=1.0).to(tl.float32)
    low, high = tl.log(tl.maximum(before, _TINY)), tl.log(tl.maximum(after, _TINY))
    bend = tl.maximum(2.0 * tl.log(tl.maximum(middle, _TINY)) - low - high, _TINY)
    offset = tl.minimum(tl.maximum((high - low) / (2.0 * bend), -0.5), 0.5)
    return tl.where(inside, offset, 0.0)


@triton.jit
def gather_kernel(
    heat_ptr, tags_ptr, scores_ptr, places_ptr, cells_ptr, found_ptr,
    stride_v, stride_j, stride_y, stride_x,
    stride_tv, stride_tj, stride_td, stride_ty, stride_tx,
    joints, height, width, count, dims, BLOCK: tl.constexpr,
):  # fmt: skip
    """All peaks of one map: their places to a fraction of a cell, and their tags."""
    plane = tl.program_id(0)
    view, joint = (plane // joints).to(tl.int64), (plane % joints).to(tl.int64)
    ranks = tl.arange(0, BLOCK)
    row = plane.to(tl.int64) * count + ranks
    score = tl.load(scores_ptr + row, mask=ranks < count, other=0.0)
    place = tl.load(places_ptr + row, mask=ranks < count, other=0)
    real = score > 0
    y, x = place // width, place % width
    base = heat_ptr + view * stride_v + joint * stride_j
    offset = y * stride_y + x * stride_x
    in_x, in_y = real & (x > 0) & (x < width - 1), real & (y > 0) & (y < height - 1)
    cell_x = x.to(tl.float32) + _vertex(base, offset, stride_x, score, in_x)
    cell_y = y.to(tl.float32) + _vertex(base, offset, stride_y, score, in_y)
    tl.store(cells_ptr + row * 2, tl.where(real, cell_x, 0.0), mask=ranks < count)
    tl.store(cells_ptr + row * 2 + 1, tl.where(real, cell_y, 0.0), mask=ranks < count)
    base = tags_ptr + view * stride_tv + joint * stride_tj
    for d in range(dims):
        where = base + d * stride_td + y * stride_ty + x * stride_tx
        tag = tl.load(where, mask=real, other=0.0).to(tl.float32)
        tl.store(found_ptr + row * dims + d, tag, mask=ranks < count)


def find_peaks_on_gpu(heat: Tensor, tags: Tensor, rules: PeakRules | None = None) -> PeaksOnGpu:
    """The best peaks of each map with their tags.

    Args:
        heat: (V, J, H, W) any strides, floating point.
        tags: (V, J, D, H, W)
        rules: what counts as a peak.

    Returns:
        The best of each map; the order among equal scores is not defined.

    Raises:
        BadOperand: shapes that do not belong together, or maps with fewer cells than peaks.
    """
    rules = rules or PeakRules()
    views, joints, height, width = heat.shape
    if tags.dim() != 5 or (*tags.shape[:2], *tags.shape[3:]) != tuple(heat.shape):
        raise BadOperand(f"heat {tuple(heat.shape)} and tags {tuple(tags.shape)} differ")
    if rules.count > height * width:
        raise BadOperand(f"{rules.count} peaks asked of {height} x {width} cells; ask for fewer")
    dims, maps = tags.shape[2], views * joints
    only_peaks = heat.new_empty((maps, height * width), dtype=torch.float32)
    cells = heat.new_empty((views, joints, rules.count, 2), dtype=torch.float32)
    found = heat.new_empty((views, joints, rules.count, dims), dtype=torch.float32)
    blocks = triton.cdiv(height * width, CELLS_BLOCK)
    with torch.cuda.device(heat.device) if heat.is_cuda else nullcontext():
        if maps * blocks:
            suppress_kernel[(maps * blocks,)](
                *(heat, only_peaks, *heat.stride(), joints, height, width, blocks, rules.floor),
                REACH=rules.window // 2,
                BLOCK=CELLS_BLOCK,
            )
        scores, places = only_peaks.topk(rules.count, 1)  # (V J, K)
        if maps:
            gather_kernel[(maps,)](
                *(heat, tags, scores, places, cells, found, *heat.stride(), *tags.stride()),
                *(joints, height, width, rules.count, dims),
                BLOCK=triton.next_power_of_2(rules.count),
            )
    shape = (views, joints, rules.count)
    return PeaksOnGpu(cells, scores.view(shape), found, places.view(shape))
