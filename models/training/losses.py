"""What training makes small."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..hourglass import FIELD_CELLS, PoseMaps
from .mix import Batch

__all__ = ["LossSettings", "Losses", "field_loss", "heat_loss", "tag_loss", "total_loss"]

# A cell on a joint counts five times a cell of background: blobs cover 1 % of a map.
_JOINT_WEIGHT = 4.0
_SIZE_CELLS = 16.0  # the log size is zero for a person this large
_TORSO = (5, 6, 11, 12)  # a person's centre is the mean of these, or of whatever is labelled


@dataclass(frozen=True, slots=True)
class LossSettings:
    """How the parts of the loss weigh against each other."""

    heat: float = 1.0
    first_heat: float = 0.5  # of the trunk's own heatmaps, where the trunk is trained
    tag: float = 0.6
    first_tag: float = 0.1
    pull: float = 1.0  # against the push; a small share helps new tags to part at all
    field: float = 0.5
    anchor: float = 0.5  # of a trained trunk, to what it was; see ``anchors``


class Losses(NamedTuple):
    """The parts, unweighted, averaged over stacks."""

    heat: Tensor
    pull: Tensor
    push: Tensor
    field: Tensor


def total_loss(maps: PoseMaps, batch: Batch, settings: LossSettings) -> tuple[Tensor, Losses]:
    """Every stack supervised, the trunk's own output (the first, if there is a trunk) less."""
    total = batch.heat.new_zeros(())
    parts: list[Losses] = []
    for index, stack in enumerate(maps.stacks):
        first = index == 0 and maps.trunk is not None
        heat = heat_loss(stack.heat, batch.heat, batch.weight)
        pull, push = tag_loss(stack.tags, batch.cells)
        field = total.new_zeros(())
        if stack.field is not None:
            field = field_loss(stack.field, batch.cells)
        parts.append(Losses(heat, pull, push, field))
        total = total + heat * (settings.first_heat if first else settings.heat)
        apart = settings.pull * pull + push
        total = total + apart * (settings.first_tag if first else settings.tag)
        total = total + field * settings.field
    return total, parts[-1]


def heat_loss(heat: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared error where something is known, per unit of blob.

    Args:
        heat: (B, J, h, w) predicted.
        target: (B, J, h, w) 0 to 1.
        weight: (B, J, h, w) 0 where nothing is known.
    """
    error = weight * (1 + _JOINT_WEIGHT * target) * (heat - target) ** 2
    return error.sum() / (target.sum() + 1)


def tag_loss(tags: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Pull a person's tags together, push different people's apart.

    Associative Embedding, equation 2, per person instead of per picture; the push leaves out the
    pairs of a person with itself, which have no gradient anyway.

    Args:
        tags: (B, J, h, w)
        cells: (B, P, J, 2) x, y, NaN where not labelled.
    """
    at, known = _gather(tags[:, None], cells)  # (B, 1, P, J), (B, P, J)
    at = at[:, 0]
    count = known.sum(2)
    mean = (at * known).sum(2) / count.clamp(min=1)  # (B, P)
    there = count > 0
    spread = ((at - mean[..., None]) ** 2 * known).sum(2) / count.clamp(min=1)
    pull = (spread * there).sum() / there.sum().clamp(min=1)
    apart = (mean[:, :, None] - mean[:, None]) ** 2  # (B, P, P)
    pairs = there[:, :, None] & there[:, None]
    pairs = pairs & ~torch.eye(mean.shape[1], dtype=torch.bool, device=mean.device)
    push = (torch.exp(-apart / 2) * pairs).sum() / pairs.sum().clamp(min=1)
    return pull, push


def field_loss(field: Tensor, cells: Tensor) -> Tensor:
    """Each joint's way to its person's centre, relative to the person's size, and that size.

    Args:
        field: (B, 3 J, h, w) x and y to the centre in FIELD_CELLS, log size.
        cells: (B, P, J, 2) x, y, NaN where not labelled.
    """
    joints = cells.shape[2]
    at, known = _gather(torch.stack(field.chunk(3, 1), 1), cells)  # (B, 3, P, J), (B, P, J)
    place = cells.nan_to_num()
    torso = torch.zeros(joints, dtype=torch.bool, device=cells.device)
    torso[list(_TORSO)] = True
    chosen = known & torso
    chosen = torch.where(chosen.any(2, keepdim=True), chosen, known)[..., None]
    center = (place * chosen).sum(2) / chosen.sum(2).clamp(min=1)  # (B, P, 2)
    far = torch.finfo(place.dtype).max / 4
    highest = torch.where(known[..., None], place, -far).amax(2)
    lowest = torch.where(known[..., None], place, far).amin(2)
    size = (highest - lowest).amax(2).clamp(3, field.shape[3])[..., None]  # (B, P, 1)
    errors = [
        (at[:, axis] * FIELD_CELLS - (center[..., axis : axis + 1] - place[..., axis])) / size * 4
        for axis in (0, 1)
    ]
    errors.append(at[:, 2] - torch.log(size / _SIZE_CELLS))
    total = field.new_zeros(())
    for error, share in zip(errors, (1.0, 1.0, 0.5), strict=True):
        smooth = functional.smooth_l1_loss(error, torch.zeros_like(error), reduction="none")
        total = total + share * (smooth * known).sum() / known.sum().clamp(min=1)
    return total


def _gather(maps: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Values of maps at joints.

    Args:
        maps: (B, C, J, h, w)
        cells: (B, P, J, 2)

    Returns:
        (B, C, P, J) values, whatever they are where a joint is not labelled; (B, P, J) labelled.
    """
    width = maps.shape[4]
    known = ~cells[..., 0].isnan()
    place = cells.nan_to_num().long()
    index = (place[..., 1] * width + place[..., 0]).transpose(1, 2)  # (B, J, P)
    index = index[:, None].expand(-1, maps.shape[1], -1, -1)  # (B, C, J, P)
    return maps.flatten(3).gather(3, index).transpose(2, 3), known
