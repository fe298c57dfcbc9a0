"""What a training run is told."""

from dataclasses import dataclass, field
from pathlib import Path

from ..hourglass import HourglassConfig, quadglass_m
from .losses import LossSettings
from .mix import MixSettings

__all__ = ["TrainSettings"]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """A training run."""

    output: Path  # folder; a run found there goes on
    mix: MixSettings
    steps: int
    config: HourglassConfig = field(default_factory=quadglass_m)
    start: Path | None = None  # checkpoint whose weights a new run begins with
    trunk: Path | None = None  # MoveNet's ONNX file, for a new run that begins with that alone
    learning_rate: float = 1e-3
    trunk_rate: float = 0.0  # share of the learning rate for the trunk; 0 keeps it frozen
    trunk_early: bool = False  # train the encoder's first blocks too, where the trunk is trained
    companion: HourglassConfig | None = None  # a second network, trained on the same trunk
    anchor: Path | None = None  # MoveNet's ONNX file, that a trunk in training is held to
    weight_decay: float = 1e-3
    warmup_steps: int = 50
    losses: LossSettings = field(default_factory=LossSettings)
    validation: tuple[Path, ...] = ()  # sets whose held-out photos are measured on
    validation_photos: int = 40  # of each set
    validation_side: int = 256
    validate_every: int = 500
    log_every: int = 25
    save_every: int = 100
    threads: int = 1
    workers: int = 1  # processes that prepare batches; 0 prepares them in this one
    most_minutes: float | None = None  # stop then, to go on another time
    seed: int = 0
