"""Everybody in one frame set: views put together, joints in metres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calibration.rig import Rig
from calibration.triangulate import Reason
from models.sighting import Sighting

from .associate import groups_of
from .bodies import Body, CaptureSettings, bodies_of, settings_for
from .observations import Observations, observe
from .people import NO_ID, FramePeople, JointSource, Person, Prediction
from .plausible import UPRIGHT_WORLDS, PriorSettings, judged

__all__ = ["CaptureSettings", "PriorSettings", "people_in_frame", "settings_for"]

_PRIOR = PriorSettings()
_BY_REASON: Mapping[Reason, JointSource] = {
    Reason.TRIANGULATED: "triangulated",
    Reason.UNSEEN: "unseen",
    Reason.SINGLE_VIEW: "single_view",
    Reason.REJECTED: "rejected",
}
_SOURCE = tuple(_BY_REASON[reason] for reason in sorted(Reason))  # by the reason's number


def people_in_frame(
    rig: Rig,
    sightings: Mapping[str, Sequence[Sighting]],
    settings: CaptureSettings | None = None,
    predicted: Sequence[Prediction] = (),
    prior: PriorSettings | None = _PRIOR,
) -> FramePeople:
    """People in metres, without identities yet, and those that only one camera saw.

    Args:
        rig: the calibrated cameras.
        sightings: by camera name, in pixels of the frames as posted; cameras may be missing.
        settings: noise and thresholds.
        predicted: where tracked people are expected; helps to tell people apart, optional.
        prior: what the learned prior of poses is asked, in rigs whose z is up; None asks nothing.

    Raises:
        UnknownCamera: a name that the rig does not have.
    """
    settings = settings or CaptureSettings()
    seen = observe(rig, sightings)
    groups = groups_of(seen, settings.associate, predicted)
    bodies = bodies_of(seen, groups, settings)
    plausibility = np.full(len(bodies), np.nan)
    if prior is not None and rig.world in UPRIGHT_WORLDS:
        bodies, plausibility = judged(seen, bodies, prior)
    people = tuple(
        _person(seen, sightings, body, float(share))
        for body, share in zip(bodies, plausibility, strict=True)
    )
    alone = np.ones(len(seen.view), dtype=np.bool_)
    for body in bodies:
        alone[body.group] = False
    single: dict[str, tuple[Sighting, ...]] = {}
    for name, index in map(seen.names, np.flatnonzero(alone).tolist()):
        single[name] = (*single.get(name, ()), sightings[name][index])
    return FramePeople(people, single)


def _person(
    seen: Observations, sightings: Mapping[str, Sequence[Sighting]], body: Body, plausibility: float
) -> Person:
    views = map(seen.names, body.group.tolist())
    return Person(
        id=NO_ID,
        score=float(body.scores.mean()),
        positions=body.points,
        sigma_mm=1000 * body.sigma_m,
        scores=body.scores,
        views=body.views,
        reprojection_px=body.reprojection_px,
        sources=tuple(_SOURCE[reason] for reason in body.reason.tolist()),
        sightings={camera: sightings[camera][index] for camera, index in views},
        swapped=tuple(seen.cameras[view].name for view in body.swapped.tolist()),
        plausibility=plausibility,
    )
