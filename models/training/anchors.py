"""What a trunk in training must not forget, and what only its own heads can learn.

Few labels pull a pretrained trunk away from what it knew: trained on them alone, it found fewer
people. So it is held, wherever no label says otherwise, to what the trunk said before training.
The maps that no stack corrects, of person centres and of the way from there to the joints, also
learn from labelled people. A centre is the middle of the box around a person's joints, as in
MoveNet (median distance 0.04 of the person's size on LSP; mean of the joints 0.14, torso 0.20).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..hourglass import PoseMaps
from ..movenet import TrunkMaps
from .mix import Batch

__all__ = ["Anchors", "anchor_losses"]

_FACE_JOINTS = 5  # without any of them a box of joints is not the person's
_LEAST_JOINTS = 10
_SIGMA_CELLS = 1.2  # of MoveNet's own centre peaks
_AROUND = 0.3  # of a labelled person's size, within which the old centre is forgotten
_NEAR_CENTER = 1.5  # cells from a centre whose way to the joints is learned
_SMALLEST_CELLS = 3.0
_CENTER_WEIGHT = 4.0
_LEAST_OLD_CENTER = 0.1  # where the old trunk saw no centre its way to the joints means nothing


class Anchors(NamedTuple):
    """Unweighted."""

    heat: Tensor  # of all stacks, where there is no label
    center: Tensor
    regress: Tensor


def anchor_losses(maps: PoseMaps, before: TrunkMaps, batch: Batch) -> Anchors:
    """How far the network is from the old trunk, and its centres from the labels.

    Args:
        maps: of the network in training, which has a trunk.
        before: of the trunk before training, the same pictures.
        batch: the labels.
    """
    assert maps.trunk is not None, "only a network with a trunk has something to be held to"
    old_heat = before.joint_logits.sigmoid()
    free = 1 - batch.weight
    unit = (free * old_heat).sum() + batch.heat.sum() + 1
    heat = torch.stack(
        [
            (free * (1 + _CENTER_WEIGHT * old_heat) * (s.heat - old_heat) ** 2).sum() / unit
            for s in maps.stacks
        ]
    ).mean()
    people = _people(batch.cells)
    target = _center_target(before.center_logits.sigmoid()[:, 0], people)
    found = maps.trunk.center_logits.sigmoid()[:, 0]
    center = ((1 + _CENTER_WEIGHT * target) * (found - target) ** 2).sum() / (target.sum() + 1)
    regress = _labelled_ways(maps.trunk.regress_cell, batch.cells, people)
    regress = regress + _old_ways(maps.trunk.regress_cell, before, people)
    return Anchors(heat, center, regress)


class _People(NamedTuple):
    center: Tensor  # (B, P, 2) x, y in cells
    size: Tensor  # (B, P) longer side of the box around the joints
    whole: Tensor  # (B, P) enough joints are known to tell


def _people(cells: Tensor) -> _People:
    known = ~cells[..., 0].isnan()
    far = torch.finfo(cells.dtype).max / 4
    place = cells.nan_to_num()
    highest = torch.where(known[..., None], place, -far).amax(2)
    lowest = torch.where(known[..., None], place, far).amin(2)
    whole = (known.sum(2) >= _LEAST_JOINTS) & known[:, :, :_FACE_JOINTS].any(2)
    center = torch.where(whole[..., None], (highest + lowest) / 2, torch.zeros_like(highest))
    size = torch.where(whole, (highest - lowest).amax(2), torch.ones_like(highest[..., 0]))
    return _People(center, size.clamp(min=_SMALLEST_CELLS), whole)


def _apart2(people: _People, like: Tensor) -> Tensor:
    """(B, P, h, w) squared distance in cells of every cell from every centre."""
    rows = torch.arange(like.shape[-2], dtype=torch.float32)[:, None]
    columns = torch.arange(like.shape[-1], dtype=torch.float32)
    x, y = people.center[..., 0, None, None], people.center[..., 1, None, None]
    return (columns - x) ** 2 + (rows - y) ** 2


def _center_target(old: Tensor, people: _People) -> Tensor:
    """(B, h, w) the old map, but for labelled people one blob where their centre is."""
    apart2 = _apart2(people, old)
    whole = people.whole[..., None, None]
    inside = (apart2 < (_AROUND * people.size[..., None, None]) ** 2) & whole
    blob = torch.exp(-apart2 / (2 * _SIGMA_CELLS**2)) * whole
    return torch.maximum(torch.where(inside.any(1), torch.zeros_like(old), old), blob.amax(1))


def _labelled_ways(regress: Tensor, cells: Tensor, people: _People) -> Tensor:
    """Around a labelled person's centre, every cell must know the way to every known joint."""
    total = regress.new_zeros(())
    near = (_apart2(people, regress) < _NEAR_CENTER**2) & people.whole[..., None, None]
    batch, person, row, column = near.nonzero(as_tuple=True)  # (N,) each
    if not len(batch):
        return total
    joints = cells[batch, person]  # (N, J, 2) x, y
    known = ~joints[..., 0].isnan()
    here = torch.stack([column, row], 1)[:, None].to(joints.dtype)
    # MoveNet counts joints from the upper left corner of a cell, we from its middle: half a cell.
    wanted = (joints + 0.5 - here).nan_to_num()
    said = regress[batch, :, row, column].reshape(len(batch), -1, 2).flip(2)  # y, x -> x, y
    error = (said - wanted).abs() / people.size[batch, person, None, None] * 4
    smooth = torch.where(error < 1, error**2 / 2, error - 0.5)
    return (smooth * known[..., None]).sum() / known.sum().clamp(min=1)


def _old_ways(regress: Tensor, before: TrunkMaps, people: _People) -> Tensor:
    """Elsewhere a centre that the old trunk saw keeps its way to the joints."""
    sure = before.center_logits.sigmoid()[:, 0]
    inside = _apart2(people, sure) < (_AROUND * people.size[..., None, None]) ** 2
    taken = (inside & people.whole[..., None, None]).any(1)
    sure = torch.where(taken | (sure < _LEAST_OLD_CENTER), torch.zeros_like(sure), sure)
    ways = torch.stack(
        [before.regress_cell[:, ::2], before.regress_cell[:, 1::2]], 2
    )  # (B, J, 2, h, w)
    size = (ways.amax(1) - ways.amin(1)).amax(1).clamp(min=_SMALLEST_CELLS)  # (B, h, w)
    error = (regress - before.regress_cell).abs() / size[:, None] * 4
    smooth = torch.where(error < 1, error**2 / 2, error - 0.5).mean(1) * 2  # as x and y are added
    return (smooth * sure).sum() / (sure.sum() + 1)
