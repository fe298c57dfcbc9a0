"""A take in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.people import Frame

__all__ = ["TakeSummary", "best_frame", "summarize"]

F64 = NDArray[np.float64]
FEWEST_JOINTS = 9  # of 17, for somebody to count as captured in a frame: more than half a body


@dataclass(frozen=True, slots=True)
class TakeSummary:
    """What came of a take; None where there is nothing to measure."""

    frames: int
    people: int  # different identities
    share_captured: float  # of the frames that hold a person with more than half of the joints
    joints_share: float  # of those people's joints, how many have a position
    reprojection_px: float | None  # mean over joints, calibrated pixels
    sigma_mm: float | None  # median over joints
    views: float | None  # mean number of views a joint was made from
    swapped: int = 0  # sightings whose left and right were put right
    sightings: int = 0  # of all people


def summarize(frames: Sequence[Frame]) -> TakeSummary:
    """The take's numbers."""
    captured, ids = 0, set()
    reprojection, sigma, views, joints = [], [], [], []
    for frame in frames:
        whole = [p for p in frame.people if np.isfinite(p.positions[:, 0]).sum() >= FEWEST_JOINTS]
        captured += bool(whole)
        for person in whole:
            ids.add(person.id)
            found = np.isfinite(person.positions[:, 0])
            joints.append(found.mean())
            reprojection.append(person.reprojection_px[found])
            sigma.append(person.sigma_mm[found])
            views.append(person.views[found].astype(np.float64))
    return TakeSummary(
        frames=len(frames),
        people=len(ids),
        share_captured=captured / len(frames) if frames else 0.0,
        joints_share=float(np.mean(joints)) if joints else 0.0,
        reprojection_px=_mean(reprojection),
        sigma_mm=_median(sigma),
        views=_mean(views),
        swapped=sum(len(person.swapped) for frame in frames for person in frame.people),
        sightings=sum(len(person.sightings) for frame in frames for person in frame.people),
    )


def best_frame(frames: Sequence[Frame]) -> int | None:
    """Place of the frame that shows most, the middle one of equals; None without people."""
    worth = [
        sum(int(np.isfinite(person.positions[:, 0]).sum()) for person in frame.people)
        for frame in frames
    ]
    if not any(worth):
        return None
    places = [place for place, value in enumerate(worth) if value == max(worth)]
    return places[len(places) // 2]


def _mean(parts: Sequence[F64]) -> float | None:
    values = _finite(parts)
    return float(values.mean()) if values.size else None


def _median(parts: Sequence[F64]) -> float | None:
    values = _finite(parts)
    return float(np.median(values)) if values.size else None


def _finite(parts: Sequence[F64]) -> F64:
    values = np.concatenate([np.empty(0), *parts])
    return np.asarray(values[np.isfinite(values)])
