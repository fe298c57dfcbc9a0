"""Training of the completer.

python -m models.training.motion_completer --motions ../shared/train/motions --output runs/fill
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..completer_network import CompleterConfig, VelocityField
from ..completer_window import DIMS, MIDDLE, OFFSETS, WindowGaussian, fit_window, surroundings
from ..prior_frame import to_frame
from .motion_clips import Clip
from .motion_loop import MotionSettings, train_motion
from .motion_windows import NOISE_M, Stretches, random_stretches, restyled
from .poses import FIRST_HELD_OUT_BODY, read_split, tracks_of

__all__ = ["Told", "main", "told", "train_completer"]

F64: TypeAlias = NDArray[np.float64]

_BATCH = 256
_POOL_ROWS, _POOL_STEPS = 8_192, 600  # a pool is gone through 19 times, draws always fresh
_CHUNK = 1024  # rows at a time, for the memory
_FIT_ROWS = 16_000
_VALIDATION_BODIES = (90_000, 90_001)
_VALIDATION_ROWS = 1024
_LATEST = 0.999  # of the time; the drift has no use for the very end


class Told(NamedTuple):
    """What the network is told of windows, and the truth; N rows of float32."""

    seen: Tensor  # (N, 17)
    filled: Tensor  # (N, K * 51)
    root: Tensor  # (N, 51, 51)
    spread: Tensor  # (N, 51)
    places: Tensor  # (N, 102)
    drifts: Tensor  # (N, 102)
    nearness: Tensor  # (N, 34)
    mean: Tensor  # (N, 51) the middle of `filled`: measured where seen
    truth: Tensor  # (N, 51)

    def take(self, rows: Tensor) -> "Told":
        """These rows."""
        return Told(*(column[rows] for column in self))


def told(stretches: Stretches, gaussian: WindowGaussian) -> Told:
    """What is known around every stretch's middle, and the Gaussian conditioned on it."""
    rows = len(stretches.shown)
    parts = [
        _some_told(stretches.take(slice(k, k + _CHUNK)), gaussian) for k in range(0, rows, _CHUNK)
    ]
    return Told(*(torch.from_numpy(np.concatenate(c)).float() for c in zip(*parts, strict=True)))


def _some_told(stretches: Stretches, gaussian: WindowGaussian) -> list[F64]:
    around = surroundings(stretches.shown)
    given = gaussian.condition(around.window, around.seen)
    return [
        around.seen[:, MIDDLE].astype(np.float64),
        given.filled,
        given.root,
        given.spread,
        around.places.reshape(len(given.filled), -1),
        around.drifts.reshape(len(given.filled), -1),
        around.nearness.reshape(len(given.filled), -1),
        given.mean,
        to_frame(around.frame, stretches.truth).reshape(-1, DIMS),
    ]


def loss_of(network: nn.Module, rows: Told, draws: torch.Generator) -> Tensor:
    """Error of the velocity at random times, in standard deviations of the Gaussian."""
    count = len(rows.mean)
    time = _LATEST * torch.rand(count, 1, generator=draws)
    noise = torch.randn(count, rows.root.shape[2], 1, generator=draws)
    start = rows.mean + (rows.root @ noise)[..., 0]
    hidden = (1 - rows.seen).repeat_interleave(3, 1)
    end = rows.truth
    state = hidden * ((1 - time) * start + time * end) + (1 - hidden) * rows.mean
    said = network(state, *_shown(rows), time)
    off = (end - start - said) / (rows.spread + 0.003) * hidden
    # A truth far outside what the Gaussian expects must not decide alone.
    return (
        nn.functional.huber_loss(off, torch.zeros_like(off), reduction="sum", delta=3.0)
        / hidden.sum()
    )


def train_completer(
    motions: Path, config: CompleterConfig, settings: MotionSettings, teacher: Path | None = None
) -> tuple[VelocityField, WindowGaussian]:
    """The completer, trained or trained on.

    Args:
        motions: folder of motion files.
        config: of the network.
        settings: of the run.
        teacher: folder of a finished run; then this one is a reflow, which learns to go straight
            from each draw to where the teacher takes it.
    """
    clips = read_split(motions, "train")
    gaussian = _gaussian(settings.output, clips)
    rng = np.random.default_rng(5)
    kept = _tracks(read_split(motions, "validation"), _VALIDATION_BODIES)
    checked = told(random_stretches(kept, _VALIDATION_ROWS, rng), gaussian)
    torch.manual_seed(settings.seed)
    network = VelocityField(config)
    guide = None
    if teacher is not None:
        guide = VelocityField(config).eval()
        guide.load_state_dict(torch.load(teacher / "best.pt", weights_only=True))
        network.load_state_dict(guide.state_dict())
    pool: list[tuple[int, Told]] = []

    def loss(model: nn.Module, step: int) -> Tensor:
        number = step // _POOL_STEPS
        if not pool or pool[0][0] != number:
            pool[:] = [(number, _pool(clips, gaussian, [settings.seed, number]))]
        draws = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        rows = pool[0][1].take(torch.randint(_POOL_ROWS, (_BATCH,), generator=draws))
        if guide is not None:
            return _reflow_loss(model, guide, rows, draws)
        return loss_of(model, rows, draws)

    def validate(model: nn.Module) -> float:
        return float(loss_of(model, checked, torch.Generator().manual_seed(0)))

    report = train_motion(network, loss, validate, settings)
    described = {"config": asdict(config), "noise_m": NOISE_M, **report}
    (settings.output / "report.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    torch.save(network.state_dict(), settings.output / "best.pt")
    return network, gaussian


def _reflow_loss(model: nn.Module, guide: nn.Module, rows: Told, draws: torch.Generator) -> Tensor:
    """As `loss_of`, with the truth replaced by where the teacher takes the draw (8 Euler steps)."""
    noise = torch.randn(len(rows.mean), rows.root.shape[2], 1, generator=draws)
    start = rows.mean + (rows.root @ noise)[..., 0]
    hidden = (1 - rows.seen).repeat_interleave(3, 1)
    fixed = (1 - hidden) * rows.mean
    end, steps = start, 8
    with torch.no_grad():
        for k in range(steps):
            now = torch.full((len(start), 1), k / steps)
            place = hidden * end + fixed
            end = end + guide(place, *_shown(rows), now) / steps
    time = _LATEST * torch.rand(len(start), 1, generator=draws)
    state = hidden * ((1 - time) * start + time * end) + fixed
    said = model(state, *_shown(rows), time)
    off = (end - start - said) / (rows.spread + 0.003) * hidden
    error: Tensor = (off**2).sum() / hidden.sum()
    return error


def _shown(rows: Told) -> tuple[Tensor, ...]:
    """What the network sees, as `VelocityField.forward` takes it."""
    return rows.seen, rows.filled, rows.spread, rows.places, rows.drifts, rows.nearness


def _gaussian(output: Path, clips: Sequence[Clip]) -> WindowGaussian:
    """The window's Gaussian of this run, fitted once."""
    file = output / "gaussian.npz"
    if file.is_file():
        stored = np.load(file)
        return WindowGaussian(stored["mean"], stored["precision"], NOISE_M)
    rng = np.random.default_rng(3)
    tracks = _tracks(clips, rng.integers(FIRST_HELD_OUT_BODY - 10_000, size=2).tolist())
    whole = random_stretches(tracks, _FIT_ROWS, rng, whole=True)
    windows = [
        surroundings(whole.shown[k : k + _CHUNK]).window for k in range(0, _FIT_ROWS, _CHUNK)
    ]
    gaussian = fit_window(np.concatenate(windows).reshape(-1, len(OFFSETS) * DIMS), NOISE_M)
    output.mkdir(parents=True, exist_ok=True)
    np.savez(file, mean=gaussian.mean, precision=gaussian.precision)
    return gaussian


def _pool(clips: Sequence[Clip], gaussian: WindowGaussian, seed: Sequence[int]) -> Told:
    rng = np.random.default_rng(seed)
    chosen = [restyled(clip, rng) for clip in clips]
    tracks = _tracks(chosen, [int(rng.integers(FIRST_HELD_OUT_BODY - 10_000))], seed[1])
    return told(random_stretches(tracks, _POOL_ROWS, rng), gaussian)


def _tracks(clips: Sequence[Clip], bodies: Sequence[int], seed: int = 0) -> list[F64]:
    return [track.joints for track in tracks_of(clips, bodies, seed)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motions", type=Path, default=Path("../shared/train/motions"))
    parser.add_argument("--output", type=Path, default=Path("runs/completer"))
    parser.add_argument("--reflow", type=Path, help="folder of a finished run to straighten")
    parser.add_argument("--steps", type=int, default=9_000)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    settings = MotionSettings(
        options.output, options.steps, most_minutes=options.minutes, seed=options.seed
    )
    train_completer(options.motions, CompleterConfig(), settings, options.reflow)


if __name__ == "__main__":
    main()
