"""A training run's state in one file, from which it goes on as if it had not stopped."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import CheckpointMismatch
from ..hourglass import HourglassConfig, StackedHourglass
from ..tensor_file import fill, read_tensor_file

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
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read.
        CheckpointMismatch: not a checkpoint of ours, or of a later version.
    """
    stored = read_tensor_file(path)
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise CheckpointMismatch(
            f"{path} is not a {FORMAT} file; give a checkpoint of `train`, or make one of a "
            "published network's with `quadglass models import`"
        )
    try:
        return Checkpoint(
            config=HourglassConfig(**stored["config"]),
            network=stored["network"],
            average=stored["average"],
            optimizer=stored["optimizer"],
            step=int(stored["step"]),
            seconds=float(stored["seconds"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointMismatch(
            f"{path} says it is a {FORMAT} file but differs ({type(error).__name__}: {error}); "
            "it was written by another version, use that one"
        ) from error


def load_network(path: Path) -> StackedHourglass:
    """The averaged network of a checkpoint, ready to look at pictures.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read, or holds NaN.
        CheckpointMismatch: not a checkpoint of ours, or keys that do not fit its configuration.
    """
    checkpoint = load_checkpoint(path)
    network = StackedHourglass(checkpoint.config)
    fill(network, checkpoint.average, path)
    return network.eval()
