"""Peaks and what the other maps say there, by the device code: as ``models.training.peaks``.

One pass over the heatmaps finds the peaks and gathers tags and centre field at once; nothing waits
for the host, so a CUDA graph can record it. Needs PyTorch and Triton.
"""

import torch
from torch import Tensor

from kernels.peaks import PeakRules
from kernels.peaks_triton import find_peaks_on_gpu

from .hourglass import FIELD_CELLS, PoseMaps
from .training.peaks import PeakSettings, fractions, pixels, sizes_px

__all__ = ["gather_on_gpu"]


def gather_on_gpu(maps: PoseMaps, settings: PeakSettings) -> tuple[Tensor, ...]:
    """Candidates of the last stack, everything in input pixels.

    Args:
        maps: of any floating type.
        settings: how many to keep.

    Returns:
        What :func:`models.training.peaks.gather` returns, float32; where there are fewer peaks
        than asked for, the score is 0 and the rest means nothing.
    """
    last = maps.stacks[-1]
    batch, joints, height, width = last.heat.shape
    # Every positive local maximum, as in the exported graph; grouping has thresholds of its own.
    rules = PeakRules(settings.joints, settings.window, floor=0.0)
    beside = last.tags if last.field is None else torch.cat([last.tags, last.field], 1)
    said = beside.view(batch, -1, joints, height, width).transpose(1, 2)  # (B, J, 1 or 4, h, w)
    peaks = find_peaks_on_gpu(last.heat, said, rules)
    if last.field is None:
        centers, sizes = peaks.cells[:, :, :0], peaks.scores[:, :, :0]
    else:
        whole = torch.stack([peaks.places % width, peaks.places // width], 3)  # (B, J, K, 2)
        centers = pixels(peaks.tags[..., 1:3] * FIELD_CELLS + whole)
        sizes = sizes_px(peaks.tags[..., 3])
    cells = peaks.cells  # by the parabola
    if settings.offset != "parabola":
        cells = fractions(last.heat.float(), peaks.places, settings.offset)
    seeds = _seeds(maps, settings, peaks.scores)
    return pixels(cells), peaks.scores, peaks.tags[..., :1], centers, sizes, *seeds


def _seeds(maps: PoseMaps, settings: PeakSettings, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Peaks of the trunk's centre map and the joints each of them expects."""
    if maps.trunk is None:
        nobody = like[:, None, :, :2][:, :0]  # (B, 0, J, 2)
        return nobody[:, :, 0], nobody[:, :, 0, 0], nobody
    center = maps.trunk.center_logits.sigmoid()
    batch, _, _, width = center.shape
    rules = PeakRules(settings.seeds, settings.window, floor=0.0)
    peaks = find_peaks_on_gpu(center, maps.trunk.regress_cell[:, None], rules)
    ways = peaks.tags[:, 0].view(batch, settings.seeds, -1, 2).flip(3)  # (B, M, J, 2) x, y
    place = peaks.places[:, 0]
    whole = torch.stack([place % width, place // width], 2)  # (B, M, 2)
    # MoveNet counts cells from their upper left corner, we from their middle: half a cell.
    joints = pixels(ways + whole[:, :, None] - 0.5)
    return pixels(whole.to(joints.dtype)), peaks.scores[:, 0], joints
