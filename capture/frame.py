"""Everybody in one frame set: views put together, joints in metres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calibration.rig import Rig
from calibration.triangulate import Reason
from models.sighting import Sighting

from .associate import groups_of
from .bodies import Body, CaptureSettings, bodies_of
from .observations import Observations, observe
from .people import NO_ID, FramePeople, JointSource, Person, Prediction

__all__ = ["CaptureSettings", "people_in_frame"]

_SOURCE: Mapping[int, JointSource] = {
    Reason.TRIANGULATED: "triangulated",
    Reason.UNSEEN: "unseen",
    Reason.SINGLE_VIEW: "single_view",
    Reason.REJECTED: "rejected",
}


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
    bodies = bodies_of(seen, groups, settings)
    people = tuple(_person(seen, sightings, body) for body in bodies)
    taken = np.zeros(len(seen.view), dtype=np.bool_)
    for body in bodies:
        taken[body.group] = True
    single = {
        camera.name: tuple(
            sightings[camera.name][seen.index[s]]
            for s in np.flatnonzero((seen.view == view) & ~taken)
        )
        for view, camera in enumerate(seen.cameras)
    }
    return FramePeople(people, {name: alone for name, alone in single.items() if alone})


def _person(seen: Observations, sightings: Mapping[str, Sequence[Sighting]], body: Body) -> Person:
    count = body.used.sum(axis=0)
    scores = (body.scores * body.used).sum(axis=0) / np.maximum(count, 1)
    return Person(
        id=NO_ID,
        score=float(scores.mean()),
        positions=body.points,
        sigma_mm=1000 * body.sigma_m,
        scores=np.minimum(scores, 1.0),
        views=count,
        reprojection_px=body.reprojection_px,
        sources=tuple(_SOURCE[reason] for reason in body.reason.tolist()),
        sightings={name: sightings[name][index] for name, index in map(seen.names, body.group)},
    )
