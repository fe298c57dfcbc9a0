"""A training run's state in one file, from which it goes on as if it had not stopped."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import CheckpointMismatch
from ..hourglass import HourglassConfig, StackedHourglass

__all__ = ["Checkpoint", "load_checkpoint", "load_network", "save_checkpoint"]

FORMAT = "quadglass-checkpoint/1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything a run needs to go on."""

    config: HourglassConfig
    network: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor]  # the exponential moving average, what is exported
    optimizer: dict[str, Any]  # empty: start the optimizer afresh
    step: int
    seconds: float  # trained so far


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: a stopped run leaves the old file or the new one."""
    part = path.with_suffix(".part")
    torch.save(
        {
            "format": FORMAT,
            "config": asdict(checkpoint.config),
            "network": checkpoint.network,
            "average": checkpoint.average,
            "optimizer": checkpoint.optimizer,
            "step": checkpoint.step,
            "seconds": checkpoint.seconds,
        },
        part,
    )
    part.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a run's state.

    Raises:
        CheckpointMismatch: not a checkpoint of ours.
    """
    stored = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise CheckpointMismatch(f"{path} is not a {FORMAT} file; give a checkpoint of `train`")
    return Checkpoint(
        config=HourglassConfig(**stored["config"]),
        network=stored["network"],
        average=stored["average"],
        optimizer=stored["optimizer"],
        step=int(stored["step"]),
        seconds=float(stored["seconds"]),
    )


def load_network(path: Path) -> StackedHourglass:
    """The averaged network of a checkpoint, ready to look at pictures.

    Raises:
        CheckpointMismatch: not a checkpoint of ours, or keys that do not fit its configuration.
    """
    checkpoint = load_checkpoint(path)
    network = StackedHourglass(checkpoint.config)
    missing, unexpected = network.load_state_dict(checkpoint.average, strict=False)
    if missing or unexpected:
        raise CheckpointMismatch(
            f"{path}: missing {missing[:3]}, unexpected {unexpected[:3]} for "
            f"{checkpoint.config.name!r}; it was written by another version"
        )
    return network.eval()
