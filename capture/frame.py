"""Everybody in one frame set: views put together, joints in metres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibration.rig import Rig
from calibration.triangulate import Reason, TriangulateSettings, Triangulation, triangulate
from models.sighting import Sighting

from .associate import AssociateSettings, groups_of
from .observations import Observations, observe
from .people import F64, NO_ID, FramePeople, JointSource, Person, Prediction

__all__ = ["CaptureSettings", "people_in_frame"]

_SOURCE: Mapping[int, JointSource] = {
    Reason.TRIANGULATED: "triangulated",
    Reason.UNSEEN: "unseen",
    Reason.SINGLE_VIEW: "single_view",
    Reason.REJECTED: "rejected",
}


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What the 3D part of a frame goes by."""

    associate: AssociateSettings = field(default_factory=AssociateSettings)
    triangulate: TriangulateSettings = field(default_factory=TriangulateSettings)
    min_joints: int = 5  # a person with fewer joints in metres is taken for a chance meeting
    # A view whose joints were left out as outliers to this share shows somebody else.
    max_dropped: float = 0.6
    max_span_m: float = 2.8  # between two joints of one person: arms spread, or tall with arms up


def people_in_frame(
    rig: Rig,
    sightings: Mapping[str, Sequence[Sighting]],
    settings: CaptureSettings | None = None,
    predicted: Sequence[Prediction] = (),
) -> FramePeople:
    """People in metres, without identities yet, and those that only one camera saw.

    Args:
        rig: the calibrated cameras.
        sightings: by camera name, in pixels of the frames as posted; cameras may be missing.
        settings: noise and thresholds.
        predicted: where tracked people are expected; helps to tell people apart, optional.

    Raises:
        UnknownCamera: a name that the rig does not have.
    """
    settings = settings or CaptureSettings()
    seen = observe(rig, sightings)
    groups = groups_of(seen, settings.associate, predicted)
    groups, result = _triangulate_groups(seen, groups, settings)
    people, taken = [], np.zeros(len(seen.view), dtype=np.bool_)
    joints = seen.joints_px.shape[1]
    for number, group in enumerate(groups):
        part = slice(number * joints, (number + 1) * joints)
        if _believable(result, part, settings):
            people.append(_person(seen, sightings, group, result, part))
            taken[group] = True
    single = {
        camera.name: tuple(
            sightings[camera.name][seen.index[s]]
            for s in np.flatnonzero((seen.view == view) & ~taken)
        )
        for view, camera in enumerate(seen.cameras)
    }
    return FramePeople(tuple(people), {name: alone for name, alone in single.items() if alone})


def _triangulate_groups(
    seen: Observations, groups: list[NDArray[np.int64]], settings: CaptureSettings
) -> tuple[list[NDArray[np.int64]], Triangulation]:
    """All groups' joints at once, again without the views that turned out to show another."""
    result = _triangulate(seen, groups, settings)
    joints = seen.joints_px.shape[1]
    kept = []
    for number, group in enumerate(groups):
        part = slice(number * joints, (number + 1) * joints)
        views = seen.view[group]
        dropped = result.dropped[views, part].sum(axis=1)
        judged = dropped + result.used[views, part].sum(axis=1)
        kept.append(group[dropped <= settings.max_dropped * judged])
    if all(len(a) == len(b) for a, b in zip(groups, kept, strict=True)):
        return groups, result
    kept = [group for group in kept if len(group) >= 2]
    return kept, _triangulate(seen, kept, settings)


def _triangulate(
    seen: Observations, groups: list[NDArray[np.int64]], settings: CaptureSettings
) -> Triangulation:
    """(P * J) points of P groups."""
    joints, views = seen.joints_px.shape[1], len(seen.cameras)
    pixels = np.full((views, len(groups), joints, 2), np.nan)
    norm, scores = pixels.copy(), np.zeros((views, len(groups), joints))
    for number, group in enumerate(groups):
        pixels[seen.view[group], number] = seen.joints_px[group]
        norm[seen.view[group], number] = seen.norm[group]
        scores[seen.view[group], number] = seen.scores[group]
    return triangulate(
        seen.cameras,
        pixels.reshape(views, -1, 2),
        scores.reshape(views, -1),
        settings.triangulate,
        norm=norm.reshape(views, -1, 2),
        groups=np.repeat(np.arange(len(groups)), joints),
    )


def _believable(result: Triangulation, part: slice, settings: CaptureSettings) -> bool:
    points = result.points[part]
    points = points[np.isfinite(points[:, 0])]
    if len(points) < settings.min_joints:
        return False
    return bool(np.ptp(points, axis=0).max() <= settings.max_span_m)


def _person(
    seen: Observations,
    sightings: Mapping[str, Sequence[Sighting]],
    group: NDArray[np.int64],
    result: Triangulation,
    part: slice,
) -> Person:
    views = seen.view[group]
    used = result.used[views, part]  # (views of the group, J)
    count = used.sum(axis=0)
    scores = (seen.scores[group] * used).sum(axis=0) / np.maximum(count, 1)
    return Person(
        id=NO_ID,
        score=float(scores.mean()),
        positions=result.points[part],
        sigma_mm=1000 * result.sigma_m[part],
        scores=_clipped(scores),
        views=count.astype(np.int64),
        reprojection_px=result.reprojection_px[part],
        sources=tuple(_SOURCE[reason] for reason in result.reason[part].tolist()),
        sightings={name: sightings[name][index] for name, index in map(seen.names, group)},
    )


def _clipped(scores: F64) -> F64:
    return np.asarray(np.clip(scores, 0.0, 1.0))
