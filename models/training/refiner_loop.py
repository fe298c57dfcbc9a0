"""Training of the refiner: `python -m models.training.refiner_loop --motions DIR --out DIR`.

One process, one thread; stopped and started again it goes on where it was. A line of figures each
50 steps in ``log.jsonl``, curves in ``curves.png``, the averaged weights in ``refiner.ckpt``.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..kalman_smoother import SmootherSettings
from ..refiner import OFFLINE, ONLINE
from ..refiner_tracks import width_of
from ..tensor_file import read_tensor_file
from .curves import draw_curves
from .poses import Track, read_split, tracks_of
from .refiner_data import DrawSettings, Lesson, lessons
from .refiner_network import ActivationName, Refiner, RefinerConfig

__all__ = ["TrainSettings", "misfit_mm", "open_refiner", "smoother_of", "train"]

FORMAT = "quadglass-refiner/1"
_LOG_STEPS = 50
_AVERAGE = 0.998  # of the weights, over steps


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """A run."""

    minutes: float = 30.0  # after which it stops
    steps: int = 100_000  # or after so many
    rate: float = 2e-3  # falls to a hundredth along a cosine, over the minutes
    warmup: int = 100  # steps
    decay: float = 0.01  # of the weights
    bodies: int = 6  # shapes of each training clip
    seed: int = 0
    draw: DrawSettings = field(default_factory=DrawSettings)


def smoother_of(lag: int | None) -> SmootherSettings:
    """The classical smoother that the refiner corrects."""
    return OFFLINE if lag is None else replace(ONLINE, lag=lag)


def misfit_mm(answer: Tensor, lesson: Lesson) -> Tensor:
    """(T, 17) distance from the true joints."""
    left = lesson.away_m - answer.view(-1, 17, 3) * lesson.unit_m
    return (left.square().sum(2) + 1e-8).sqrt() * 1000


def train(
    config: RefinerConfig,
    tracks: Sequence[Track],
    settings: TrainSettings,
    out: Path,
    start_from: Path | None = None,
) -> None:
    """Train until the time is up, going on with what is in ``out``.

    Args:
        config: of the network.
        tracks: of the training split.
        settings: of the run.
        out: folder for checkpoint, log and curves.
        start_from: checkpoint of another run whose weights of the same shape a new one starts with.
    """
    torch.manual_seed(settings.seed)
    network = Refiner(config)
    if start_from is not None:
        theirs, own = open_refiner(start_from).state_dict(), network.state_dict()
        fitting = {name: w for name, w in theirs.items() if w.shape == own[name].shape}
        network.load_state_dict(own | fitting)
    average = {name: weight.clone() for name, weight in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=settings.decay)
    step, before = 0, 0.0
    out.mkdir(parents=True, exist_ok=True)
    kept = out / "refiner.ckpt"
    if kept.is_file():
        stored: Any = read_tensor_file(kept)
        network.load_state_dict(stored["network"])
        average = stored["average"]
        if stored["optimizer"]:
            optimizer.load_state_dict(stored["optimizer"])
        step, before = stored["step"], stored["seconds"]
    rng = np.random.default_rng([settings.seed, step])
    start = time.monotonic()
    sums, count = np.zeros(2), 0
    for lesson in lessons(tracks, smoother_of(config.lag), settings.draw, rng):
        spent = before + time.monotonic() - start
        done = spent / (60 * settings.minutes)
        if done >= 1 or step >= settings.steps:
            break
        share = max(done, step / settings.steps)
        fade = 0.505 + 0.495 * math.cos(math.pi * share)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * min(1.0, (step + 1) / settings.warmup) * fade
        loss = misfit_mm(network(lesson.tokens), lesson).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss / 10)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        keep = min(_AVERAGE, step / (step + 10))
        for name, weight in network.state_dict().items():
            average[name].lerp_(weight, 1 - keep)
        still = misfit_mm(torch.zeros_like(lesson.away_m).flatten(1), lesson).mean()
        sums += [float(loss.detach()), float(still)]
        count += 1
        if step % _LOG_STEPS == 0:
            mean, its_base = sums / count
            line = {
                "step": step,
                "mpjpe_mm": round(mean, 3),
                "share_of_smoother": round(mean / its_base, 4),
                "seconds": round(spent),
            }
            with (out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            sums, count = np.zeros(2), 0
        if step % (10 * _LOG_STEPS) == 0:
            _save(kept, config, network, average, optimizer, step, spent)
    _save(kept, config, network, average, optimizer, step, before + time.monotonic() - start)
    if (out / "log.jsonl").is_file():
        draw_curves(out / "log.jsonl", out / "curves.png")


def open_refiner(path: Path) -> Refiner:
    """The averaged network of a run, for looking only.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read.
    """
    stored: Any = read_tensor_file(path)
    network = Refiner(RefinerConfig(**stored["config"]))
    network.load_state_dict(stored["average"])
    return network.eval()


def _save(
    path: Path,
    config: RefinerConfig,
    network: Refiner,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    part = path.with_suffix(".part")
    state = {
        "format": FORMAT,
        "config": asdict(config),
        "network": network.state_dict(),
        "average": average,
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    torch.save(state, part)
    part.replace(path)


def main() -> None:
    """Read the clips, train, and say where the result is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--motions", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lag", type=int, help="frames to wait; without it, the whole track")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--activation", default="swiglu")
    parser.add_argument("--start-from", type=Path, help="checkpoint of another run")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    activation: ActivationName = asked.activation
    config = RefinerConfig(inputs=width_of(asked.lag), lag=asked.lag, activation=activation)
    settings = TrainSettings(minutes=asked.minutes, steps=asked.steps)
    clips = read_split(asked.motions, "train")
    train(
        config,
        list(tracks_of(clips, range(settings.bodies))),
        settings,
        asked.out,
        asked.start_from,
    )


if __name__ == "__main__":
    main()
