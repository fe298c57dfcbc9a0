"""Single poses to learn from: motions on new bodies, limbs strewn and recombined, masked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .motion_clips import Clip
from .poses import FIRST_HELD_OUT_BODY, mirrored_track, tracks_of

__all__ = ["DITHER_M", "pose_pool", "random_seen", "strewn"]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

# Noise added to every coordinate of a pose in its frame before its density is measured or learnt,
# for every model alike: about what a joint triangulated from four good views is off. Without it
# the poses fill no volume (bones of fixed length) and no density is defined.
DITHER_M = 0.010
_RECOMBINED = 0.25  # of the poses have arms or legs of another moment
_PARTS = (
    *[(9,), (10,), (15,), (16,)] * 2,
    *[(7, 9), (8, 10), (13, 15), (14, 16)] * 2,
    (7, 8, 9, 10),
    (13, 14, 15, 16),
    (11, 12, 13, 14, 15, 16),
    (0, 1, 2, 3, 4),
    (1, 3),
    (2, 4),
    (5, 7, 9),
    (6, 8, 10),
)


def pose_pool(
    clips: Sequence[Clip], rng: np.random.Generator, bodies_per_clip: int, step: int = 1
) -> F64:
    """World joints of many bodies in all moments of clips, each moment made many.

    Args:
        clips: of the training split.
        rng: what is random.
        bodies_per_clip: new bodies for each.
        step: every so many moments.

    Returns:
        (N, 17, 3) metres, float32 would do.
    """
    joints = []
    for clip in clips:
        start = int(rng.integers(step))
        thin = Clip(
            clip.name, clip.source, *(a[start::step] for a in (clip.trunk, clip.limbs, clip.root))
        )
        if len(thin.root) == 0:
            continue
        for body in rng.integers(FIRST_HELD_OUT_BODY, size=bodies_per_clip):
            (track,) = tracks_of([strewn(thin, rng)], (int(body),), seed=int(rng.integers(1 << 30)))
            joints.append(track.joints if rng.random() < 0.5 else mirrored_track(track.joints))
    return np.concatenate(joints)


def strewn(clip: Clip, rng: np.random.Generator) -> Clip:
    """The clip with limbs and trunk strewn a little, some with arms or legs of other moments."""
    frames = len(clip.root)
    limbs = clip.limbs.copy()
    for rows, part in ((slice(0, 2), 1), (slice(2, 4), 0)):
        own = clip.trunk[:, part]  # (F, 3, 3)
        local = limbs[:, rows] @ own[:, None]  # seen from chest or pelvis
        other = np.where(
            rng.random(frames) < _RECOMBINED, rng.integers(frames, size=frames), np.arange(frames)
        )
        limbs[:, rows] = local[other] @ own[:, None].mT
    spread = rng.choice([0.03, 0.1, 0.25], size=(frames, 1, 1, 1), p=[0.5, 0.35, 0.15])
    limbs += spread * rng.normal(size=limbs.shape)
    limbs /= np.linalg.norm(limbs, axis=3, keepdims=True)
    trunk = clip.trunk + rng.choice([0.02, 0.1], size=(frames, 1, 1, 1)) * rng.normal(
        size=clip.trunk.shape
    )
    # Gram and Schmidt, up first.
    up = trunk[..., 2] / np.linalg.norm(trunk[..., 2], axis=2, keepdims=True)
    left = trunk[..., 1] - up * (trunk[..., 1] * up).sum(axis=2, keepdims=True)
    left /= np.linalg.norm(left, axis=2, keepdims=True)
    return replace(clip, trunk=np.stack([np.cross(left, up), left, up], axis=3), limbs=limbs)


def random_seen(rng: np.random.Generator, rows: int, whole: float = 0.4) -> Bool:
    """(rows, 17) what cameras might see: everything, all but some joints, all but a part."""
    seen = np.ones((rows, 17), dtype=np.bool_)
    kind = rng.random(rows)
    for row in np.flatnonzero(kind >= whole):
        if rng.random() < 0.5:
            seen[row, rng.permutation(17)[: rng.integers(1, 8)]] = False
        else:
            for _ in range(rng.integers(1, 3)):
                seen[row, list(_PARTS[rng.integers(len(_PARTS))])] = False
    return seen
