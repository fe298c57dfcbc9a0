"""The training run: one process, resumable, its figures in a file as it goes."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from .evaluation import held_out
from .learner import Learner
from .mix import Batch, Mix
from .photos import Photo
from .settings import TrainSettings

__all__ = ["TrainReport", "TrainSettings", "train"]


@dataclass(frozen=True, slots=True)
class TrainReport:
    """Where a run stands."""

    checkpoint: Path
    step: int
    loss: float  # mean of the last interval logged
    ap: float | None  # of the last validation


def train(
    settings: TrainSettings, progress: Callable[[int, int, str], object] | None = None
) -> TrainReport:
    """Train, or go on training, until the last step or the last minute.

    Args:
        settings: of the run.
        progress: told after each step: steps done, of how many, and how the run stands.

    Raises:
        BadTrainingData: a set cannot be read.
        CheckpointMismatch: the weights to begin with do not fit.
    """
    torch.set_num_threads(settings.threads)
    settings.output.mkdir(parents=True, exist_ok=True)
    learner = Learner(settings)
    photos = _validation_photos(settings)
    batches = _batches(settings, learner.step)
    begun = time.monotonic()
    while learner.step < settings.steps:
        if progress is not None:
            progress(learner.step, settings.steps, _standing(learner))
        learner.learn(next(batches))
        if learner.step % settings.log_every == 0:
            learner.log()
        if photos and learner.step % settings.validate_every == 0:
            learner.validate(photos)
        if learner.step % settings.save_every == 0:
            learner.save()
        minutes = (time.monotonic() - begun) / 60
        if settings.most_minutes is not None and minutes >= settings.most_minutes:
            break
    path = learner.save()
    return TrainReport(path, learner.step, learner.loss, learner.ap)


def _standing(learner: Learner) -> str:
    """The last figures logged, in a few words."""
    loss = "training" if math.isnan(learner.loss) else f"loss {learner.loss:.3f}"
    return loss if learner.ap is None else f"{loss}, AP {learner.ap:.3f}"


def _validation_photos(settings: TrainSettings) -> list[Photo]:
    if not settings.validation:
        return []
    return held_out(settings.validation, False, settings.validation_photos)


def _batches(settings: TrainSettings, step: int) -> Iterator[Batch]:
    """The stream from here on; another seed after a restart, so that nothing comes twice."""
    seed = settings.mix.seed + 1_000_003 * step
    mix = Mix(replace(settings.mix, seed=seed))
    loader = DataLoader(mix, batch_size=None, num_workers=settings.workers)
    return iter(loader)
