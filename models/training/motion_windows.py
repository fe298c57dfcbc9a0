"""Stretches of motion with joints hidden, for the completer to learn from and be measured on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..completer_window import OFFSETS, REACH
from .motion_clips import Clip
from .poses import mirrored_track

__all__ = [
    "AROUND",
    "LIMB_PARTS",
    "NOISE_M",
    "Stretches",
    "hide",
    "random_stretches",
    "restyled",
    "stretches_of",
]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

NOISE_M = 0.010  # of a seen joint, one standard deviation per axis
LIMB_PARTS = ((7, 9), (8, 10), (13, 15), (14, 16))
_MIN_SEEN = 8  # joints of the middle that stay in sight
AROUND = np.arange(-REACH, REACH + 1)  # frames of a stretch
_LONG = 40  # frames; a gap that reaches so far leaves nothing of the joint in the stretch


@dataclass(frozen=True, slots=True)
class Stretches:
    """N stretches of motion as measured, and what is to be found in their middles."""

    shown: F64  # (N, 2 * REACH + 1, 17, 3) metres in the world, NaN where unseen
    truth: F64  # (N, 17, 3) the middle's joints

    def take(self, rows: slice) -> "Stretches":
        """These rows."""
        return Stretches(self.shown[rows], self.truth[rows])


def stretches_of(
    joints: F64,
    middles: NDArray[np.int64],
    there: Bool,
    rng: np.random.Generator,
    stretch: float = 1.0,
    noise_m: float = NOISE_M,
) -> Stretches:
    """Stretches of one body's joints, measured with noise.

    Args:
        joints: (F, 17, 3) metres.
        middles: (N,) frame numbers.
        there: (N, 2 * REACH + 1, 17) which joints cameras see.
        rng: of the noise.
        stretch: time runs so much faster.
        noise_m: of a joint, one standard deviation per axis.
    """
    at = middles[:, None] + np.round(AROUND * stretch).astype(np.int64)  # (N, L)
    inside = (at >= 0) & (at < len(joints))
    clean = joints[np.clip(at, 0, len(joints) - 1)]  # (N, L, 17, 3)
    measured = clean + rng.normal(0, noise_m, clean.shape)
    shown = np.where((there & inside[..., None])[..., None], measured, np.nan)
    return Stretches(shown, clean[:, REACH])


def hide(rng: np.random.Generator, rows: int) -> Bool:
    """(rows, 2 * REACH + 1, 17) what cameras might see: joints or limbs in a gap of any length."""
    there = rng.random((rows, len(AROUND), 17)) > 0.04
    for row in range(rows):
        if rng.random() < 0.5:
            hidden = rng.permutation(17)[: rng.integers(1, 8)]
        else:
            chosen = rng.permutation(len(LIMB_PARTS))[: rng.integers(1, 3)]
            hidden = np.concatenate([LIMB_PARTS[k] for k in chosen])
        before, after = np.exp(rng.uniform(0, np.log(_LONG), 2)) - 1
        gap = np.clip(AROUND, -before, after) == AROUND
        there[row][np.ix_(gap, hidden)] = False
    live = rng.random(rows) < 0.3  # nothing is known of what comes
    there[np.ix_(live, AROUND > 0)] = False
    for row in np.flatnonzero(there[:, REACH].sum(axis=1) < _MIN_SEEN).tolist():
        there[row, REACH] = True
        there[row, REACH, rng.integers(17)] = False
    return there


def restyled(clip: Clip, rng: np.random.Generator) -> Clip:
    """The clip done a little differently: every limb turned by the same small angle throughout."""
    limbs = clip.limbs.copy()
    for rows, part in ((slice(0, 2), 1), (slice(2, 4), 0)):
        own = clip.trunk[:, part, None]  # (F, 1, 3, 3)
        local = limbs[:, rows] @ own  # seen from chest or pelvis
        for limb in range(2):
            for side in range(2):
                turn = Rotation.from_rotvec(rng.normal(0, 0.08, 3)).as_matrix()
                local[:, limb, side] = local[:, limb, side] @ turn.T
        limbs[:, rows] = local @ own.mT
    return replace(clip, limbs=limbs)


def random_stretches(
    tracks: Sequence[F64], rows: int, rng: np.random.Generator, *, whole: bool = False
) -> Stretches:
    """Stretches at random moments of tracks, half of them mirrored.

    Args:
        tracks: (F, 17, 3) each, metres.
        rows: how many.
        rng: what is random.
        whole: hide nothing, measure without noise, and let the window stay inside the tracks.
    """
    lengths = np.array([len(track) for track in tracks], dtype=np.float64)
    which = rng.choice(len(tracks), rows, p=lengths / lengths.sum())
    parts = []
    for number in np.unique(which):
        count = int((which == number).sum())
        track = tracks[number] if rng.random() < 0.5 else mirrored_track(tracks[number])
        stretch = float(np.exp(rng.normal(0, 0.2)))
        if whole:
            reach = int(np.ceil(OFFSETS[-1] * stretch))
            if len(track) <= 2 * reach:
                continue
            middles = rng.integers(reach, len(track) - reach, size=count)
            everything = np.ones((count, len(AROUND), 17), dtype=np.bool_)
            parts.append(stretches_of(track, middles, everything, rng, stretch, noise_m=0.0))
        else:
            middles = rng.integers(len(track), size=count)
            parts.append(stretches_of(track, middles, hide(rng, count), rng, stretch))
    return Stretches(
        np.concatenate([part.shown for part in parts]),
        np.concatenate([part.truth for part in parts]),
    )
