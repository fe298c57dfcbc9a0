"""Joints that few views see, with and without the prior: capture itself, option on and off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from calibration.camera import F64
from calibration.rig import Rig
from calibration.triangulate import TriangulateSettings
from capture.associate import AssociateSettings
from capture.detections import read_detections
from capture.frame import CaptureSettings, PriorSettings, people_in_frame
from tests.scenes import Noise, detect, ring_rig, stereo_rig

from .balancing import BALANCING, _folders, _rig, _truth

__all__ = ["real_pairs", "triangulation"]


NOISE = Noise(pixel=6.7, missed=0.0, outliers=0.0)  # the default that capture reckons with
_WITHOUT, _WITH = PriorSettings(weak_views=0), PriorSettings(weak_views=2)


@dataclass(frozen=True, slots=True)
class Case:
    """Which cameras there are and what they miss."""

    name: str
    rig: Rig
    missed: float = 0.0  # share of joints not found in a view


def triangulation(
    tracks: Sequence[F64], frames: int, seed: int = 0
) -> list[dict[str, float | str]]:
    """One row per case: MPJPE in mm of joints by number of views, with and without the prior."""
    ring = ring_rig(4)
    cases = (
        Case("two views at 90 degrees", replace(ring, cameras=ring.cameras[:2])),
        Case("stereo, 0.6 m apart", stereo_rig()),
        Case(
            "three views, each misses 1 joint in 3", replace(ring, cameras=ring.cameras[:3]), 1 / 3
        ),
        Case("four views, each misses 1 joint in 5", ring, 0.2),
        Case("four views", ring),
    )
    rng = np.random.default_rng(seed)
    lengths = np.array([len(track) for track in tracks], dtype=np.float64)
    chosen = rng.choice(len(tracks), frames, p=lengths / lengths.sum())
    poses = np.stack([_centred(tracks[k][rng.integers(len(tracks[k]))]) for k in chosen])
    return [_case(case, poses, seed) for case in cases]


def _centred(joints: F64) -> F64:
    """The body above the middle of the floor, as high as it was, at most a jump."""
    middle = joints[11:13].mean(axis=0)
    lift = max(0.0, float(joints[15:17, 2].min()) - 0.4)  # climbers come down
    return np.asarray(joints - [middle[0], middle[1], lift])


def _case(case: Case, poses: F64, seed: int) -> dict[str, float | str]:
    seen = detect(case.rig, poses[:, None], replace(NOISE, missed=case.missed), seed=seed)
    row: dict[str, float | str] = {"case": case.name}
    settings = CaptureSettings(AssociateSettings(), TriangulateSettings())
    off: dict[str, list[F64]] = {"without": [], "with": []}
    views: list[F64] = []
    for truth, one in zip(poses, seen, strict=True):
        pair = [
            people_in_frame(case.rig, one.sightings, settings, prior=prior).people
            for prior in (_WITHOUT, _WITH)
        ]
        if len(pair[0]) != 1 or len(pair[1]) != 1:
            continue  # two views that did not meet: nothing to compare
        for name, people in zip(off, pair, strict=True):
            off[name].append(np.linalg.norm(people[0].positions - truth, axis=1))
        views.append(pair[0][0].views)
    count = np.stack(views)
    plain, better = (1000 * np.stack(off[name]) for name in ("without", "with"))
    for name, chosen in (("two_views", count == 2), ("more_views", count > 2)):
        if chosen.any():
            row[f"{name}_without_mm"] = float(np.nanmean(plain[chosen]))
            row[f"{name}_with_mm"] = float(np.nanmean(better[chosen]))
            row[f"{name}_ratio"] = float(np.nanmean(better[chosen]) / np.nanmean(plain[chosen]))
    return row


def real_pairs(step: int) -> dict[str, float | str] | None:
    """All pairs of cameras of the Balancing take against its TRC of four cameras.

    The TRC is no truth (it is made from the same 2D joints, filtered), but a pair's error against
    it is mostly the pair's own.
    """
    if not BALANCING.is_dir():
        return None
    rig, (world, ours, theirs) = _rig(), _truth()
    moments = [*read_detections(_folders(), "body25b")][:: max(step, 1)]
    off: dict[str, list[F64]] = {"without": [], "with": []}
    for pair in combinations(rig.names, 2):
        for number, sightings in moments:
            if number >= len(world):
                continue
            truth = world[number][theirs]
            seen = {name: sightings[name] for name in pair if name in sightings}
            for name, prior in (("without", _WITHOUT), ("with", _WITH)):
                people = people_in_frame(rig, seen, prior=prior).people
                errors = [np.linalg.norm(p.positions[ours] - truth, axis=1) for p in people]
                none = [np.full(len(ours), np.nan)]
                medians = [np.nanmedian(e) if np.isfinite(e).any() else np.inf for e in errors]
                off[name].append((errors or none)[int(np.argmin(medians or [0.0]))])
    plain, better = (1000 * np.nanmean(np.array(off[name])) for name in ("without", "with"))
    return {
        "case": "real take (Balancing), its six pairs of cameras",
        "two_views_without_mm": float(plain),
        "two_views_with_mm": float(better),
        "two_views_ratio": float(better / plain),
    }
