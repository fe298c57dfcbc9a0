"""Files of tensors, read without running anything that is written in them. Needs PyTorch."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from .errors import CheckpointMismatch, WeightsDamaged, WeightsMissing

__all__ = ["fill", "listed", "read_tensor_file", "refuse_unsound"]

_NAMED = 5  # keys that a message lists before it only counts them
# What torch.load raises for a file that is cut short, altered or something else altogether.
_UNREADABLE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
)


def read_tensor_file(path: Path) -> object:
    """What ``torch.save`` wrote: tensors, numbers, text and containers of them, nothing else.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read, or holds objects of other kinds.
    """
    if not path.is_file():
        raise WeightsMissing(f"no file {path}; check the path")
    try:
        stored: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsDamaged(_unpicklable(path, str(error))) from error
    except _UNREADABLE as error:
        raise WeightsDamaged(
            f"{path} ({path.stat().st_size} bytes) cannot be read as a PyTorch file "
            f"({type(error).__name__}); it is damaged or of another kind, copy it again"
        ) from error
    return stored


def _unpicklable(path: Path, said: str) -> str:
    foreign = said.partition("GLOBAL ")[2].partition(" ")[0]
    if foreign:
        return (
            f"{path} holds {foreign}, an object that would have to be run to be read; where you "
            "trust the file, save its 'state_dict' alone and give that"
        )
    return (
        f"{path} ({path.stat().st_size} bytes) is no PyTorch file or is damaged; copy it again, "
        "or give the checkpoint itself"
    )


def fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give a network its weights, in float32; it may have been built on the meta device.

    Args:
        network: to fill.
        weights: by the network's own names.
        path: where they come from, for messages.

    Raises:
        CheckpointMismatch: weights are missing, unknown or of another shape; all are named.
        WeightsDamaged: some are NaN or infinite.
    """
    needed = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    shared = needed.keys() & found.keys()
    faults = (
        ("missing", sorted(needed.keys() - found.keys())),
        ("unknown", sorted(found.keys() - needed.keys())),
        (
            "of another shape",
            [
                f"{name} is {found[name]}, need {needed[name]}"
                for name in sorted(shared)
                if found[name] != needed[name]
            ],
        ),
    )
    told = [f"{len(names)} {what} ({listed(names)})" for what, names in faults if names]
    if told:
        raise CheckpointMismatch(
            f"{path}: of {len(needed)} weights {', '.join(told)}; it belongs to another network "
            "or was written by another version"
        )
    refuse_unsound(path, weights)
    whole = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }
    network.load_state_dict(whole, assign=True)


def refuse_unsound(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Nothing, if every weight is a finite number.

    Raises:
        WeightsDamaged: some are NaN or infinite.
    """
    bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise WeightsDamaged(
            f"{path}: NaN or infinite numbers in {len(bad)} of {len(tensors)} tensors "
            f"({listed(bad)}); the training went wrong or the file is damaged, take an earlier one"
        )


def listed(names: list[str]) -> str:
    """The first few names and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
