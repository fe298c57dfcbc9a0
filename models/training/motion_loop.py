"""The training loop of the small motion models: seeded, resumable, its figures in a file.

What is kept is the exponential average of the weights at the step that validated best, so a run
that overfits costs time and nothing else.
"""

import json
import logging
import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .curves import draw_curves

__all__ = ["MotionSettings", "train_motion"]

logger = logging.getLogger(__name__)

_LAST, _LOG, _CURVES = "last.ckpt", "log.jsonl", "curves.png"
_LARGEST_GRADIENT = 5.0
_AVERAGE_STEP = 0.002
_FINAL_RATE = 0.02


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """A run."""

    output: Path  # folder; a run found there goes on
    steps: int
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 200
    validate_every: int = 500
    threads: int = 1
    most_minutes: float | None = None  # stop then, to go on another time
    seed: int = 0


def train_motion(
    network: nn.Module,
    loss: Callable[[nn.Module, int], Tensor],
    validate: Callable[[nn.Module], float],
    settings: MotionSettings,
) -> dict[str, float]:
    """Train, or go on; the network ends with the averaged weights that validated best.

    Args:
        network: with the weights to begin with.
        loss: of a fresh batch, given the network and the step.
        validate: of the averaged network, lower is better.
        settings: of the run.

    Returns:
        The steps done and the best figure of validation.
    """
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    settings.output.mkdir(parents=True, exist_ok=True)
    average, best = deepcopy(network), deepcopy(network.state_dict())
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    step, best_figure, seconds = 0, math.inf, 0.0
    last = settings.output / _LAST
    if last.is_file():
        stored = torch.load(last, weights_only=True)
        network.load_state_dict(stored["network"])
        average.load_state_dict(stored["average"])
        optimizer.load_state_dict(stored["optimizer"])
        best, step = stored["best"], stored["step"]
        best_figure, seconds = stored["best_figure"], stored["seconds"]
        torch.manual_seed(settings.seed + 1_000_003 * step)
        logger.info("going on from step %d of %s", step, last)
    begun, total, since = time.monotonic(), 0.0, 0
    while step < settings.steps:
        network.train()
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _share(settings, step)
        value = loss(network, step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
        optimizer.step()
        _follow(average, network, step)
        step, total, since = step + 1, total + float(value.detach()), since + 1
        minutes = (time.monotonic() - begun) / 60
        over = settings.most_minutes is not None and minutes >= settings.most_minutes
        if step % settings.validate_every == 0 or step == settings.steps or over:
            average.eval()
            with torch.no_grad():
                figure = validate(average)
            if figure < best_figure:
                best, best_figure = deepcopy(average.state_dict()), figure
            line = {
                "step": step,
                "minutes": round(seconds / 60 + minutes, 2),
                "loss": total / since,
                "validation": figure,
            }
            with (settings.output / _LOG).open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            draw_curves(settings.output / _LOG, settings.output / _CURVES)
            total, since = 0.0, 0
            torch.save(
                {
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "best": best,
                    "step": step,
                    "best_figure": best_figure,
                    "seconds": seconds + 60 * minutes,
                },
                last.with_suffix(".part"),
            )
            last.with_suffix(".part").replace(last)
        if over:
            break
    network.load_state_dict(best)
    network.eval()
    return {
        "step": step,
        "best": best_figure,
        "minutes": seconds / 60 + (time.monotonic() - begun) / 60,
    }


def _follow(average: nn.Module, network: nn.Module, step: int) -> None:
    share = max(_AVERAGE_STEP, 1 / (step + 2))
    with torch.no_grad():
        pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
        for ours, theirs in pairs:
            ours.lerp_(theirs, share)


def _share(settings: MotionSettings, step: int) -> float:
    """Of the learning rate: a short rise, then half a cosine."""
    rise = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / settings.steps)))
    return rise * (_FINAL_RATE + (1 - _FINAL_RATE) * fall)
