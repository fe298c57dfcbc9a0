"""How well the prior knows poses that it never saw, and tells spoiled ones from sound ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.camera import F64
from models.prior import PosePrior
from models.prior_frame import frame_of, to_frame
from models.skeleton import COCO17
from models.training.motion_gaussian import Mixture

__all__ = ["draw_roc", "likelihood"]

Bool = NDArray[np.bool_]

MEASURED_M = 0.010  # noise of sound poses in the test of spoiled ones, one sigma per axis
NOISE_M = 0.06  # on three joints of a noisy one
_LEGS, _ARMS = (11, 12, 13, 14, 15, 16), (5, 6, 7, 8, 9, 10)
_LIMBS = ((7, 9), (8, 10), (13, 15), (14, 16))
_CHUNK = 64  # rows at a time
_SIDE, _MARGIN = 420, 44  # px of the picture
_COLORS = ((180, 90, 20), (60, 140, 40), (40, 40, 200))  # BGR


def likelihood(
    prior: PosePrior, baselines: dict[str, Mixture], tracks: Sequence[F64], step: int, seed: int = 0
) -> tuple[dict[str, float], dict[str, F64]]:
    """Nats per dimension of all models, AUC by kind of fault, and the curves.

    Args:
        prior: ours.
        baselines: by name.
        tracks: held-out motion.
        step: every so many frames.
        seed: of noise and faults.
    """
    rng = np.random.default_rng(seed)
    joints = np.concatenate([track[::step] for track in tracks])
    every = np.ones(joints.shape[:2], dtype=np.bool_)
    poses = to_frame(frame_of(joints, every), joints)
    poses = poses + rng.normal(0, prior.dither_m, poses.shape)
    flat = poses.reshape(len(poses), -1)
    figures = {"prior_nats_per_dim": -float(_ours(prior, poses, every).mean()) / 51}
    for name, model in baselines.items():
        figures[f"{name}_nats_per_dim"] = -float(model.log_prob(flat).mean()) / 51
    sound = joints + rng.normal(0, MEASURED_M, joints.shape)
    curves: dict[str, F64] = {}
    for name, faulty in _spoiled(sound, rng).items():
        for model, score in _scores(prior, baselines, sound, faulty).items():
            good, bad = score
            figures[f"{name}_auc_{model}"] = _auc(good, bad)
            if model == "prior":
                curves[name] = _curve(good, bad)
    return figures, curves


def _spoiled(joints: F64, rng: np.random.Generator) -> dict[str, F64]:
    """The same poses with one fault each, by kind."""
    swapped, noisy, mirrored = joints.copy(), joints.copy(), joints.copy()
    flip = np.array(COCO17.flip_order)
    rows = np.arange(len(joints))
    legs = rng.random(len(joints)) < 0.5
    for chosen, part in ((legs, _LEGS), (~legs, _ARMS)):
        swapped[np.ix_(chosen, part)] = joints[np.ix_(chosen, flip[list(part)])]
    for _ in range(3):
        noisy[rows, rng.integers(17, size=len(rows))] += rng.normal(0, NOISE_M, (len(rows), 3))
    # A limb bent the other way: its outer bone mirrored at the line of its inner one, as a pair of
    # views that see it from one side would have it.
    for row, limb in zip(rows, rng.integers(len(_LIMBS), size=len(rows)), strict=True):
        inner, outer = _LIMBS[limb]
        start = joints[row, inner - 2]
        along = joints[row, inner] - start
        along = along / (np.linalg.norm(along) + 1e-9)
        bone = joints[row, outer] - joints[row, inner]
        mirrored[row, outer] = joints[row, inner] + 2 * (bone @ along) * along - bone
    return {"swap": swapped, "noise": noisy, "mirror": mirrored}


def _scores(
    prior: PosePrior, baselines: dict[str, Mixture], sound: F64, faulty: F64
) -> dict[str, tuple[F64, F64]]:
    every = np.ones(sound.shape[:2], dtype=np.bool_)
    told: dict[str, tuple[F64, F64]] = {}
    local = [to_frame(frame_of(joints, every), joints) for joints in (sound, faulty)]
    told["prior"] = (_ours(prior, local[0], every), _ours(prior, local[1], every))
    for name, model in baselines.items():
        good, bad = (model.log_prob(poses.reshape(len(poses), -1)) for poses in local)
        told[name] = (good, bad)
    return told


def _ours(prior: PosePrior, poses: F64, seen: Bool) -> F64:
    parts = [
        prior.value(poses[k : k + _CHUNK], seen[k : k + _CHUNK])
        for k in range(0, len(poses), _CHUNK)
    ]
    return np.concatenate(parts)


def _auc(good: F64, bad: F64) -> float:
    """Chance that a sound pose is likelier than a spoiled one (Mann and Whitney's U)."""
    order = np.sort(bad)
    below = np.searchsorted(order, good, "left") + np.searchsorted(order, good, "right")
    return float(below.mean() / (2 * len(bad)))


def _curve(good: F64, bad: F64) -> F64:
    """(201, 2) share of sound poses called spoiled, share of spoiled ones found."""
    limits = np.quantile(good, np.linspace(0, 1, 201))
    found = np.searchsorted(np.sort(bad), limits, "right") / len(bad)
    return np.stack([np.linspace(0, 1, 201), found], axis=1)


def draw_roc(curves: dict[str, F64], figures: dict[str, float], picture: Path) -> None:
    """The curves as a PNG."""
    size = _SIDE + 2 * _MARGIN
    canvas = np.full((size, size, 3), 255, dtype=np.uint8)
    low, high = (_MARGIN, _MARGIN + _SIDE), (_MARGIN + _SIDE, _MARGIN)
    cv2.rectangle(canvas, low, high, (160, 160, 160), 1)
    cv2.line(canvas, low, high, (200, 200, 200), 1, cv2.LINE_AA)
    for number, (name, curve) in enumerate(curves.items()):
        at = np.array(low) + curve * [_SIDE, -_SIDE]
        color = _COLORS[number % len(_COLORS)]
        cv2.polylines(canvas, [at.round().astype(np.int32)], False, color, 2, cv2.LINE_AA)
        label = f"{name}: AUC {figures[f'{name}_auc_prior']:.3f}"
        _write(canvas, label, (_MARGIN + 190, _MARGIN + _SIDE - 70 + 22 * number), color)
    _write(canvas, "share of sound poses called spoiled", (_MARGIN + 90, size - 14), (60, 60, 60))
    _write(canvas, "share of spoiled poses found", (_MARGIN, 30), (60, 60, 60))
    cv2.imwrite(str(picture), canvas)


def _write(
    canvas: NDArray[np.uint8], text: str, place: tuple[int, int], color: tuple[int, int, int]
) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)
