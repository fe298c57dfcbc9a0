"""A finished run of a motion model turned into what is packaged: ONNX, checksum, card.

python -m models.training.motion_card prior runs/prior models/weights/prior.onnx
python -m models.training.motion_card completer runs/completer models/weights/completer.onnx
"""

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from ..completer import COMPLETER_FORMAT, Completer, SampleSettings
from ..completer_network import CompleterConfig, VelocityField
from ..completer_window import WindowGaussian
from ..prior import JOINTS, MIN_JOINTS, PRIOR_FORMAT
from ..prior_flow import FlowConfig
from ..prior_network import PoseFlow
from .motion_export import export_completer, export_prior
from .motion_pool import DITHER_M, random_seen
from .motion_prior import dithered, plain_poses
from .motion_windows import NOISE_M, random_stretches
from .poses import read_split, tracks_of

__all__ = ["load_completer", "load_prior", "main", "package_completer", "package_prior"]

F64: TypeAlias = NDArray[np.float64]

_VALIDATION_BODIES = tuple(range(90_010, 90_016))
_LEAST_SEEN = (0, 9, 13, 16, 17)  # joints; poses seen to a like extent are compared
# What is measured is off, by more with two views than with four: real poses are judged like that.
_MEASURED_M = (0.005, 0.02)
_WIDENING_ROWS = 800
_SIGMAS_80 = 1.2816  # of a normal distribution, within which 80 % lie
_ODD = 0.001  # share of real joints that are called unlikely
_DATA = """| data | licence |
| --- | --- |
| CMU Graphics Lab Motion Capture Database (subjects 01 to 03; salsa, Indian dance, martial arts, \
131) | free for research and commercial use; acknowledge mocap.cs.cmu.edu, NSF EIA-0196217 |
| DeepMimic, 20 clips | MIT |

The clips are put on made bodies of many proportions (`models/training/poses.py`, which also holds \
the rule by which clips and bodies are held out). No picture and no person's data beyond these \
clips was used; the weights carry no further terms."""


def load_prior(run: Path) -> PoseFlow:
    """The network of a finished run."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    network = PoseFlow(FlowConfig(**report["config"]))
    network.load_state_dict(torch.load(run / "best.pt", weights_only=True))
    return network.eval()


def package_prior(run: Path, motions: Path, path: Path) -> None:
    """Write the prior with the percentiles that make a likelihood a plausibility."""
    network = load_prior(run)
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    figures: dict[str, Any] = {"dither_m": DITHER_M, **_usual(network, motions)}
    metadata = {"format": PRIOR_FORMAT, "figures": json.dumps(figures)}
    export_prior(network, path, metadata)
    card = f"""# prior

How plausible a body's pose is: an exact log-density of COCO-17 joints in their own frame, for any \
set of seen joints. A {report["config"]["family"]}-style normalizing flow of \
{report["config"]["layers"]} couplings over bones' lengths and directions \
(`models/prior_coordinates.py`, `models/prior_flow.py`).

{_DATA}

Trained {report["step"]} steps in {report["minutes"]:.0f} minutes of a shared core; kept are the \
averaged weights that validated best ({report["best"]:.3f} nats per dimension on validation clips; \
joints dithered by {1000 * DITHER_M:.0f} mm). Figures on held-out clips and bodies: \
`python -m benchmarks.motion`, told in `docs/motion.md`.

Learnt from walking, running, climbing, exercise, dance, martial arts and some acrobatics of few \
people: what they do not do (sitting at a table, lying in bed, wheelchairs) is called less \
plausible than it is. Not for judging people by how they move.
"""
    path.with_suffix(".md").write_text(card, encoding="utf-8")


def load_completer(run: Path) -> tuple[VelocityField, WindowGaussian]:
    """The network and the Gaussian of a finished run."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    network = VelocityField(CompleterConfig(**report["config"]))
    network.load_state_dict(torch.load(run / "best.pt", weights_only=True))
    stored = np.load(run / "gaussian.npz")
    gaussian = WindowGaussian(stored["mean"], stored["precision"], NOISE_M)
    return network.eval(), gaussian


def package_completer(run: Path, motions: Path, path: Path) -> None:
    """Write the completer, its spread widened to what validation clips show it to be."""
    network, gaussian = load_completer(run)
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))

    def write(widening: float) -> None:
        figures = {"noise_m": NOISE_M, "widening": widening}
        metadata = {"format": COMPLETER_FORMAT, "figures": json.dumps(figures)}
        export_completer(network, gaussian, path, metadata)

    write(1.0)
    write(round(_widening(Completer(path), motions), 3))
    card = f"""# completer

Where joints are that no camera saw, given the others and the frames around: draws of a rectified \
flow from the conditional Gaussian of a window of nine frames within half a second \
(`models/completer_window.py`, `models/completer_network.py`). Their mean is the answer, their \
spread its sigma. What it fills in is always marked `completed`.

{_DATA}

Trained {report["step"]} steps in {report["minutes"]:.0f} minutes of a shared core; kept are the \
averaged weights that validated best. Figures on held-out clips and bodies, beside the Gaussian \
alone and interpolation over time: `python -m benchmarks.motion`, told in `docs/motion.md`.

Learnt from walking, running, climbing, exercise, dance, martial arts and some acrobatics of few \
people: of other motion it knows less than its sigma says.
"""
    path.with_suffix(".md").write_text(card, encoding="utf-8")


def _widening(completer: Completer, motions: Path) -> float:
    """What the samples' spread is to be multiplied by, so that four of five truths lie in 80 %."""
    rng = np.random.default_rng(13)
    tracks = [
        t.joints for t in tracks_of(read_split(motions, "validation"), _VALIDATION_BODIES[:2])
    ]
    stretches = random_stretches(tracks, _WIDENING_ROWS, rng)
    made = completer.complete(stretches.shown, SampleSettings(samples=32))
    hidden = np.isfinite(made.sigma_m)
    off = np.abs(made.joints - stretches.truth)[hidden]  # (N, 3)
    sigma = made.samples.std(axis=1)[hidden] + 1e-4
    return float(np.quantile(off / sigma, 0.8) / _SIGMAS_80)


def _usual(network: PoseFlow, motions: Path) -> dict[str, Any]:
    """What real poses of validation clips reach: nats at percentiles, and of single joints."""
    rng = np.random.default_rng(11)
    joints = plain_poses(read_split(motions, "validation"), _VALIDATION_BODIES, step=4)
    joints += rng.uniform(*_MEASURED_M, (len(joints), 1, 1)) * rng.normal(size=joints.shape)
    seen = random_seen(rng, len(joints), whole=0.3)
    poses, shown = dithered(joints, seen, rng, dither_m=0.0)
    with torch.no_grad():
        rate = (network(poses, shown)[:, 0] / (3 * shown.sum(1))).numpy()
    count = seen.sum(axis=1)
    bins = [*pairwise([*_LEAST_SEEN, 18])]
    percentiles = [
        np.percentile(rate[(count >= max(low, MIN_JOINTS)) & (count < high)], np.arange(101))
        for low, high in bins
    ]
    return {
        "least_seen": list(_LEAST_SEEN),
        "percentiles": [np.round(row, 4).tolist() for row in percentiles],
        "joint_limits": np.round(_joint_limits(network, joints, rng), 3).tolist(),
    }


def _joint_limits(network: PoseFlow, joints: F64, rng: np.random.Generator) -> F64:
    """(17,) nats of a joint given the others that all but `_ODD` of real ones exceed."""
    some = joints[rng.permutation(len(joints))[:6000]]
    every = np.ones(some.shape[:2], dtype=np.bool_)
    limits = []
    for joint in range(JOINTS):
        without = every.copy()
        without[:, joint] = False
        # The frame is that of the others, as in `PosePrior.joint_log_likelihood`.
        poses, shown = dithered(some, every, rng, frame_seen=without, dither_m=0.0)
        fewer = torch.from_numpy(without).float()
        with torch.no_grad():
            given = network(poses, shown) - network(poses * fewer.repeat_interleave(3, 1), fewer)
        limits.append(np.quantile(given.numpy(), _ODD))
    return np.array(limits)


def main(arguments: Sequence[str] | None = None) -> None:
    """Package from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=("prior", "completer"))
    parser.add_argument("run", type=Path, help="folder of the finished run")
    parser.add_argument("path", type=Path, help="ONNX file to write")
    parser.add_argument("--motions", type=Path, default=Path("../shared/train/motions"))
    options = parser.parse_args(arguments)
    if options.model == "prior":
        package_prior(options.run, options.motions, options.path)
    else:
        package_completer(options.run, options.motions, options.path)


if __name__ == "__main__":
    main()
