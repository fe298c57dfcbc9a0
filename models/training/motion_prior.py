"""Training of the pose prior.

python -m models.training.motion_prior --motions ../shared/train/motions --output runs/prior
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..prior_flow import FlowConfig
from ..prior_frame import frame_of, to_frame
from ..prior_network import PoseFlow
from .motion_clips import Clip
from .motion_loop import MotionSettings, train_motion
from .motion_pool import DITHER_M, pose_pool, random_seen
from .poses import read_split, tracks_of

__all__ = ["PoseBatches", "dithered", "main", "plain_poses", "train_prior"]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

_BATCH = 512
_POOL_STEPS = 1500  # a new pool of bodies after so many
_BODIES = 3
_VALIDATION_BODIES = (90_000, 90_001, 90_002)


class PoseBatches:
    """Draws batches; holds the pool that they are drawn from."""

    def __init__(self, clips: Sequence[Clip], seed: int) -> None:
        self._clips, self._seed = clips, seed
        self._pool, self._made = np.zeros((0, 17, 3)), -1

    def draw(self, step: int, rows: int) -> tuple[Tensor, Tensor]:
        """Dithered poses (rows, 51) in their frames and what is seen (rows, 17)."""
        number = step // _POOL_STEPS
        if number != self._made:
            rng = np.random.default_rng([self._seed, number])
            self._pool, self._made = pose_pool(self._clips, rng, _BODIES, step=2), number
        rng = np.random.default_rng([self._seed, 1, step])
        joints = self._pool[rng.integers(len(self._pool), size=rows)]
        return dithered(joints, random_seen(rng, rows), rng)


def dithered(
    joints: F64,
    seen: Bool,
    rng: np.random.Generator,
    *,
    frame_seen: Bool | None = None,
    dither_m: float = DITHER_M,
) -> tuple[Tensor, Tensor]:
    """Poses (N, 51) in their frames with the noise that densities are defined with, and masks.

    Args:
        joints: (N, 17, 3) metres.
        seen: (N, 17)
        rng: of the noise.
        frame_seen: (N, 17) the joints that tell the frames, if not all that are seen.
        dither_m: of each coordinate, one standard deviation.
    """
    frames = frame_of(joints, seen if frame_seen is None else frame_seen)
    poses = to_frame(frames, joints) + rng.normal(0, dither_m, joints.shape)
    poses = np.where(seen[..., None], poses, 0.0).reshape(len(joints), -1)
    return torch.from_numpy(poses).float(), torch.from_numpy(seen).float()


def plain_poses(clips: Sequence[Clip], bodies: Sequence[int], step: int = 1) -> F64:
    """(N, 17, 3) joints of clips as they are, for measuring."""
    return np.concatenate([track.joints[::step] for track in tracks_of(clips, bodies)])


def train_prior(motions: Path, config: FlowConfig, settings: MotionSettings) -> PoseFlow:
    """The prior, trained or trained on."""
    batches = PoseBatches(read_split(motions, "train"), settings.seed)
    rng = np.random.default_rng(5)
    joints = plain_poses(read_split(motions, "validation"), _VALIDATION_BODIES, step=4)
    whole = dithered(joints, np.ones(joints.shape[:2], dtype=np.bool_), rng)
    torch.manual_seed(settings.seed)
    network = PoseFlow(config)
    network.fit(_whole(batches))

    def loss(model: nn.Module, step: int) -> Tensor:
        poses, seen = batches.draw(step, _BATCH)
        value: Tensor = model(poses, seen)
        return -value.sum() / (3 * seen.sum())

    def validate(model: nn.Module) -> float:
        poses, seen = whole
        return float(-model(poses, seen).mean() / 51)

    report = train_motion(network, loss, validate, settings)
    described = {"config": asdict(config), "dither_m": DITHER_M, **report}
    (settings.output / "report.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    torch.save(network.state_dict(), settings.output / "best.pt")
    return network


def _whole(batches: PoseBatches) -> Tensor:
    """Whole poses for the scales."""
    poses, seen = batches.draw(0, 40_000)
    return poses[seen.all(1)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motions", type=Path, default=Path("../shared/train/motions"))
    parser.add_argument("--output", type=Path, default=Path("runs/prior"))
    parser.add_argument("--family", choices=("nice", "realnvp", "glow"), default="glow")
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    config = FlowConfig(
        options.family, layers=options.layers, hidden=options.hidden, dropout=options.dropout
    )
    settings = MotionSettings(
        options.output, options.steps, most_minutes=options.minutes, seed=options.seed
    )
    train_prior(options.motions, config, settings)


if __name__ == "__main__":
    main()
