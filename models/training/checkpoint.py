"""A training run's state in one file, from which it goes on as if it had not stopped."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..errors import CheckpointMismatch
from ..hourglass import HourglassConfig, StackedHourglass
from ..tensor_file import fill, read_tensor_file

__all__ = ["Checkpoint", "blended", "load_checkpoint", "load_network", "save_checkpoint"]

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


def blended(first: Checkpoint, second: Checkpoint, share: float) -> Checkpoint:
    """Averaged weights on the straight line between those of two runs, the second one's the rest.

    Where the second run began with the first one's weights and did not go far, the networks on
    the line are as good as its ends, and what one end alone imagines is gone (Wortsman et al.,
    "Robust fine-tuning of zero-shot models", 2022).

    Args:
        first: of the share 1 - ``share``.
        second: of the same configuration.
        share: of the second, 0 to 1.

    Raises:
        CheckpointMismatch: they are of different networks.
    """
    if first.config != second.config:
        raise CheckpointMismatch(
            f"cannot blend {first.config.name!r} with {second.config.name!r}: their "
            "configurations differ; give two checkpoints of one network"
        )
    average = {
        name: old.float().lerp(second.average[name].float(), share)
        if old.dtype.is_floating_point
        else second.average[name]
        for name, old in first.average.items()
    }
    return replace(second, network={}, average=average, optimizer={})


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
