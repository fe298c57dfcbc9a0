"""The prior's plain baselines, fitted on the poses that the prior learns from, in one small file.

python -m models.training.motion_baselines models/weights/prior-baselines.npz
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .motion_gaussian import Mixture, fit_mixture
from .motion_prior import PoseBatches, dithered, plain_poses
from .poses import read_split

__all__ = ["main", "read_baselines", "whole_poses"]

_ROWS = 20_000  # of which two of five are whole
_COUNTS = (16, 32)  # Gaussians tried; the best on validation clips is kept
_FLOOR = 1e-6  # square metres


def whole_poses(batches: PoseBatches, step: int, rows: int) -> np.ndarray:
    """(N, 51) whole poses of those drawn."""
    poses, seen = batches.draw(step, rows)
    return np.asarray(poses[seen.all(1)].numpy(), dtype=np.float64)


def read_baselines(path: Path) -> dict[str, Mixture]:
    """The Gaussian and the mixture by name."""
    stored = np.load(path)
    return {
        name: Mixture(*(stored[f"{name}_{part}"].astype(np.float64) for part in _PARTS))
        for name in ("gaussian", "mixture")
    }


_PARTS = ("weights", "means", "covariances")


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit and write from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--motions", type=Path, default=Path("../shared/train/motions"))
    options = parser.parse_args(arguments)
    batches = PoseBatches(read_split(options.motions, "train"), seed=0)
    poses = np.concatenate([whole_poses(batches, step, _ROWS) for step in (0, 3000)])
    joints = plain_poses(read_split(options.motions, "validation"), (90_000, 90_001), step=4)
    every = np.ones(joints.shape[:2], dtype=np.bool_)
    kept = dithered(joints, every, np.random.default_rng(5))[0].numpy().astype(np.float64)
    tried = [fit_mixture(poses, count, _FLOOR) for count in _COUNTS]
    best = max(tried, key=lambda mixture: float(mixture.log_prob(kept).mean()))
    arrays = {}
    for name, mixture in (("gaussian", fit_mixture(poses, 1, _FLOOR)), ("mixture", best)):
        for part in _PARTS:
            arrays[f"{name}_{part}"] = getattr(mixture, part).astype(np.float32)
    np.savez_compressed(options.path, **arrays)


if __name__ == "__main__":
    main()
