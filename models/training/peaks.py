"""Peaks of the heatmaps and what the other maps say there, as part of the exported graph.

Inside the graph this takes 1.2 ms for 17 maps of 128 x 128; taking the maps out to numpy first
took 18 ms (one core, Zen 3).
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..hourglass import FIELD_CELLS, PoseMaps, StackedHourglass

__all__ = [
    "OUTPUT_NAMES",
    "OffsetName",
    "PeakSettings",
    "PoseGraph",
    "dark",
    "find_peaks",
    "fractions",
    "gather",
    "pixels",
    "quarter",
    "refine",
    "sizes_px",
]

OUTPUT_NAMES = (
    "joints_input",
    "scores",
    "tags",
    "centers_input",
    "sizes_input",
    "seeds_input",
    "seed_scores",
    "seed_joints_input",
)
# How a peak gets a fraction of a cell: DARK's one step on the blurred map, a parabola through three
# logarithms on each axis, a quarter of a cell towards the higher neighbour as published.
OffsetName: TypeAlias = Literal["dark", "parabola", "quarter"]

_STRIDE = 4.0  # input pixels per heatmap cell
_SIZE_CELLS = 16.0  # the log size is zero for a person this large
_TINY = 1e-6  # keeps the logarithm finite where a sigmoid underflows


@dataclass(frozen=True, slots=True)
class PeakSettings:
    """How many peaks leave the graph."""

    joints: int = 30  # of each joint, as published
    seeds: int = 30  # person centres
    window: int = 5  # cells; a peak is the largest within
    offset: OffsetName = "dark"


class PoseGraph(nn.Module):
    """The network with picture conversion before it and peaks after it."""

    def __init__(self, network: StackedHourglass, settings: PeakSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, H, W, 3) uint8 BGR -> one tensor for each of ``OUTPUT_NAMES``."""
        rgb = images.flip(3).permute(0, 3, 1, 2).to(torch.float32)  # (B, 3, H, W)
        return gather(self.network(rgb), self.settings)


def gather(maps: PoseMaps, settings: PeakSettings) -> tuple[Tensor, ...]:
    """Candidates of the last stack, everything in input pixels.

    Returns:
        joints (B, J, K, 2), scores (B, J, K), tags (B, J, K, 1), centres (B, J, K, 2), sizes
        (B, J, K), seeds (B, M, 2), seed scores (B, M) and seed joints (B, M, J, 2). Without a
        centre field or a trunk the last five are empty in K or M.
    """
    last = maps.stacks[-1]
    width = last.heat.shape[3]
    scores, index = find_peaks(last.heat, settings.joints, settings.window)
    cells = fractions(last.heat, index, settings.offset)  # (B, J, K, 2)
    tags = last.tags.flatten(2).gather(2, index)[..., None]  # (B, J, K, 1)
    if last.field is not None:
        field = torch.stack(last.field.flatten(2).chunk(3, 1), 1)  # (B, 3, J, h w)
        at = field.gather(3, index[:, None].expand(-1, 3, -1, -1))  # (B, 3, J, K)
        whole = torch.stack([index % width, index // width], 3)  # (B, J, K, 2)
        centers = pixels(at[:, :2].permute(0, 2, 3, 1) * FIELD_CELLS + whole)
        sizes = sizes_px(at[:, 2])
    else:
        centers, sizes = cells[:, :, :0], scores[:, :, :0]
    seeds = _seeds(maps, settings, scores)
    return pixels(cells), scores, tags, centers, sizes, *seeds


def find_peaks(heat: Tensor, count: int, window: int) -> tuple[Tensor, Tensor]:
    """The highest local maxima of each map.

    Args:
        heat: (B, C, h, w)
        count: how many to keep.
        window: side in cells within which only the largest stays.

    Returns:
        scores (B, C, count), best first, 0 where there are fewer; cells (B, C, count) as
        y * w + x.
    """
    largest = functional.max_pool2d(heat, window, 1, window // 2)
    peaks = torch.where(heat == largest, heat, torch.zeros_like(heat))
    scores, index = peaks.flatten(2).topk(count, 2)
    return scores, index


def fractions(heat: Tensor, index: Tensor, offset: OffsetName) -> Tensor:
    """Peaks to a fraction of a cell in the named way; args and result as :func:`refine`'s."""
    return _OFFSETS[offset](heat, index)


def refine(heat: Tensor, index: Tensor) -> Tensor:
    """Peaks to a fraction of a cell: the vertex of a parabola through three logarithms.

    Exact for a Gaussian blob (the idea of DARK, Zhang et al. 2020, along each axis alone).

    Args:
        heat: (B, C, h, w)
        index: (B, C, K) cells as y * w + x.

    Returns:
        (B, C, K, 2) x, y in cells; a peak on the border keeps its whole number on that axis.
    """
    places, middle, before, after = _around(heat.clamp(min=_TINY).log(), index)
    moved = []
    for place, early, late in zip(places, before, after, strict=True):
        bend = (2 * middle - early - late).clamp(min=_TINY)
        moved.append(place + ((late - early) / (2 * bend)).clamp(-0.5, 0.5))
    return torch.stack(moved, 3)


def quarter(heat: Tensor, index: Tensor) -> Tensor:
    """Peaks a quarter of a cell towards the higher neighbour on each axis (Newell et al. 2017).

    Args and result as :func:`refine`'s.
    """
    places, _, before, after = _around(heat, index)
    steps = [torch.sign(late - early) / 4 for early, late in zip(before, after, strict=True)]
    return torch.stack([place + step for place, step in zip(places, steps, strict=True)], 3)


def dark(heat: Tensor, index: Tensor) -> Tensor:
    """Peaks by one Newton step on the logarithm of the blurred map (DARK, equations 6 to 9).

    Args and result as :func:`refine`'s; a peak on the border keeps its whole numbers.
    """
    height, width = heat.shape[2:]
    flat = _blurred(heat).flatten(2).clamp(min=_TINY).log()
    x, y = index % width, index // width
    inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    home = torch.where(inside, index, torch.full_like(index, width + 1))

    def at(dx: int, dy: int) -> Tensor:
        return flat.gather(2, home + dx + dy * width)

    middle = at(0, 0)
    slope_x, slope_y = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    bend_x, bend_y = at(1, 0) + at(-1, 0) - 2 * middle, at(0, 1) + at(0, -1) - 2 * middle
    twist = (at(1, 1) + at(-1, -1) - at(1, -1) - at(-1, 1)) / 4
    area = bend_x * bend_y - twist**2
    sound = inside & (area > _TINY) & (bend_x < 0)
    area = torch.where(sound, area, torch.ones_like(area))
    off_x = (twist * slope_y - bend_y * slope_x) / area
    off_y = (twist * slope_x - bend_x * slope_y) / area
    offsets = [torch.where(sound, o, torch.zeros_like(o)).clamp(-0.5, 0.5) for o in (off_x, off_y)]
    return torch.stack([x + offsets[0], y + offsets[1]], 3)


def _blurred(maps: Tensor) -> Tensor:
    """(B, C, h, w) by a Gaussian of one cell, cut at two; nothing lies outside.

    Sums of shifted maps: a kernel of as many channels as there are can neither be exported nor
    be made while a CUDA graph is recorded.
    """
    height, width = maps.shape[2:]
    near, far = math.exp(-0.5), math.exp(-2.0)
    total = 1 + 2 * (near + far)
    tall = functional.pad(maps, (0, 0, 2, 2))
    rows = [tall[:, :, k : k + height] for k in range(5)]
    maps = (rows[2] + near * (rows[1] + rows[3]) + far * (rows[0] + rows[4])) / total
    wide = functional.pad(maps, (2, 2, 0, 0))
    columns = [wide[..., k : k + width] for k in range(5)]
    return (columns[2] + near * (columns[1] + columns[3]) + far * (columns[0] + columns[4])) / total


def _around(
    maps: Tensor, index: Tensor
) -> tuple[tuple[Tensor, Tensor], Tensor, list[Tensor], list[Tensor]]:
    """Of cells: x and y, the value, and on each axis the value before and the one after."""
    height, width = maps.shape[2], maps.shape[3]
    flat = maps.flatten(2)
    x, y = index % width, index // width
    before, after = [], []
    for place, last, step in ((x, width - 1, 1), (y, height - 1, width)):
        inside = (place > 0) & (place < last)
        before.append(flat.gather(2, torch.where(inside, index - step, index)))
        after.append(flat.gather(2, torch.where(inside, index + step, index)))
    return (x, y), flat.gather(2, index), before, after


_OFFSETS = {"parabola": refine, "dark": dark, "quarter": quarter}


def _seeds(maps: PoseMaps, settings: PeakSettings, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Peaks of the trunk's centre map and the joints each of them expects."""
    if maps.trunk is None:
        nobody = like[:, None, :, :2][:, :0]  # (B, 0, J, 2)
        return nobody[:, :, 0], nobody[:, :, 0, 0], nobody
    center = maps.trunk.center_logits.sigmoid()
    batch, _, _, width = center.shape
    scores, index = find_peaks(center, settings.seeds, settings.window)  # (B, 1, M)
    way = maps.trunk.regress_cell.flatten(2)  # (B, 2 J, h w), y before x
    at = way.gather(2, index.expand(-1, way.shape[1], -1))  # (B, 2 J, M)
    at = at.reshape(batch, -1, 2, settings.seeds).flip(2).permute(0, 3, 1, 2)  # (B, M, J, 2)
    whole = torch.stack([index % width, index // width], 3)[:, 0]  # (B, M, 2)
    # MoveNet counts cells from their upper left corner, we from their middle: half a cell.
    joints = pixels(at + whole[:, :, None] - 0.5)
    return pixels(whole.to(joints.dtype)), scores[:, 0], joints


def pixels(cells: Tensor) -> Tensor:
    """Input pixels of places in cells, both counted from the middle of the first."""
    return (cells + 0.5) * _STRIDE - 0.5


def sizes_px(log_sizes: Tensor) -> Tensor:
    """Input pixels of the sizes that a centre field tells."""
    return log_sizes.exp() * (_SIZE_CELLS * _STRIDE)
