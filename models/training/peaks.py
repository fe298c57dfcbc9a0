"""Peaks of the heatmaps and what the other maps say there, as part of the exported graph.

Inside the graph this takes 1.2 ms for 17 maps of 128 x 128; taking the maps out to numpy first
took 18 ms (one core, Zen 3).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..hourglass import FIELD_CELLS, PoseMaps, StackedHourglass

__all__ = [
    "OUTPUT_NAMES",
    "PeakSettings",
    "PoseGraph",
    "find_peaks",
    "gather",
    "pixels",
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
_STRIDE = 4.0  # input pixels per heatmap cell
_SIZE_CELLS = 16.0  # the log size is zero for a person this large
_TINY = 1e-6  # keeps the logarithm finite where a sigmoid underflows


@dataclass(frozen=True, slots=True)
class PeakSettings:
    """How many peaks leave the graph."""

    joints: int = 30  # of each joint, as published
    seeds: int = 30  # person centres
    window: int = 5  # cells; a peak is the largest within


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
    cells = refine(last.heat, index)  # (B, J, K, 2)
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


def refine(heat: Tensor, index: Tensor) -> Tensor:
    """Peaks to a fraction of a cell: the vertex of a parabola through three logarithms.

    Exact for a Gaussian blob (the idea of DARK, Zhang et al. 2020, along each axis alone).

    Args:
        heat: (B, C, h, w)
        index: (B, C, K) cells as y * w + x.

    Returns:
        (B, C, K, 2) x, y in cells; a peak on the border keeps its whole number on that axis.
    """
    height, width = heat.shape[2], heat.shape[3]
    flat = heat.flatten(2).clamp(min=_TINY).log()
    x, y = index % width, index // width
    middle = flat.gather(2, index)
    offsets = []
    for place, last, step in ((x, width - 1, 1), (y, height - 1, width)):
        inside = (place > 0) & (place < last)
        before = flat.gather(2, torch.where(inside, index - step, index))
        after = flat.gather(2, torch.where(inside, index + step, index))
        bend = (2 * middle - before - after).clamp(min=_TINY)
        offsets.append(((after - before) / (2 * bend)).clamp(-0.5, 0.5))
    return torch.stack([x + offsets[0], y + offsets[1]], 3)


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
