"""A checkpoint of another repository becomes a network of ours, every key accounted for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..architectures import HourglassConfig
from ..errors import CheckpointMismatch
from ..hourglass import StackedHourglass
from ..tensor_file import fill, listed, read_tensor_file
from .layouts import LAYOUTS, Layout, Names, fitted, names_of

__all__ = ["Import", "import_checkpoint"]

# Batch counters: files older than PyTorch 0.4.1 have none, and inference never reads them.
_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Import:
    """A network read from somebody else's file, and what became of the file's content."""

    network: StackedHourglass  # in eval mode
    layout: str
    source: str  # the repository whose code writes such files
    prefix: str  # before every key, taken off
    read: tuple[str, ...]  # keys whose tensors are in the network now
    unread: tuple[str, ...]  # keys that their own code stores and never uses
    counters: tuple[str, ...]  # batch counters that an old file lacks, set to zero
    others: tuple[str, ...]  # what the file holds beside the weights

    @property
    def config(self) -> HourglassConfig:
        """The shape of the network."""
        return self.network.config


def import_checkpoint(path: Path) -> Import:
    """The network of a princeton pose-ae, princeton single-person or mmpose hourglass_ae file.

    Stacks, widths and outputs are taken from the file; every key must then be known.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read, or holds NaN.
        CheckpointMismatch: it is of another network; missing, unknown and misshapen keys are
            named.
    """
    weights, others = _weights(path, read_tensor_file(path))
    layout, prefix = _recognised(path, weights)
    astray = [key for key in weights if not key.startswith(prefix)]
    stored = {
        key.removeprefix(prefix): tensor
        for key, tensor in weights.items()
        if key.startswith(prefix)
    }
    try:
        config = fitted(layout, stored)
    except CheckpointMismatch as error:
        raise CheckpointMismatch(f"{path}: {error}") from error
    names = names_of(layout, config)
    counters = tuple(
        key for key in names.theirs.values() if key.endswith(_COUNTER) and key not in stored
    )
    stored |= {key: torch.zeros((), dtype=torch.int64) for key in counters}
    _account(path, layout, stored, names, astray)
    with torch.device("meta"):
        network = StackedHourglass(config)
    fill(network, {our: stored[key] for our, key in names.theirs.items()}, path)
    return Import(
        network=network.eval(),
        layout=layout.name,
        source=layout.source,
        prefix=prefix,
        read=tuple(key for key in names.theirs.values() if key not in counters),
        unread=tuple(sorted(names.unread & stored.keys())),
        counters=counters,
        others=others,
    )


def _weights(path: Path, stored: object) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors by key, and the names of what else the file holds."""
    if not isinstance(stored, Mapping):
        raise CheckpointMismatch(
            f"{path} holds a {type(stored).__name__}, not weights by name; give a checkpoint"
        )
    weights = stored.get("state_dict", stored)
    others = tuple(sorted(str(key) for key in stored if key != "state_dict"))
    if not isinstance(weights, Mapping) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise CheckpointMismatch(
            f"{path} has no 'state_dict' of tensors, only {listed(list(others)) or 'nothing'}; "
            "give a checkpoint of one of the published repositories"
        )
    return dict(weights), others if "state_dict" in stored else ()


def _recognised(path: Path, weights: Mapping[str, Tensor]) -> tuple[Layout, str]:
    """The layout, by a key that only it has, and what stands before that key."""
    for layout in LAYOUTS:
        for key in weights:
            if key == layout.mark or key.endswith(f".{layout.mark}"):
                return layout, key.removesuffix(layout.mark)
    known = "; ".join(f"{layout.source} ({layout.mark})" for layout in LAYOUTS)
    raise CheckpointMismatch(
        f"{path}: {len(weights)} tensors, first {listed(list(weights)[:1])}, of no network known "
        f"here: {known}"
    )


def _account(
    path: Path,
    layout: Layout,
    stored: Mapping[str, Tensor],
    names: Names,
    astray: list[str],
) -> None:
    """Every key must be known, and every known one there."""
    known = set(names.theirs.values())
    missing = sorted(known - stored.keys())
    unknown = sorted(stored.keys() - known - names.unread) + astray
    faults = [
        f"{len(keys)} keys {what} ({listed(keys)})"
        for what, keys in (("missing", missing), ("unknown", unknown))
        if keys
    ]
    if faults:
        raise CheckpointMismatch(
            f"{path} looks like {layout.source}, but has {' and '.join(faults)}; it was trained "
            "with other options than the published ones, which change what the network says"
        )
