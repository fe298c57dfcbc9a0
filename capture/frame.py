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
from .body import impossible_joints, mirrored, swapped_parts, twins
from .observations import Observations, observe
from .people import F64, NO_ID, FramePeople, JointSource, Person, Prediction

__all__ = ["CaptureSettings", "people_in_frame"]

Ints = NDArray[np.int64]

UNEXPECTED_SIGMA = 5.0  # of a joint made by two views against the track's expectation

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
    min_agreeing: float = 0.6  # share of the joints seen by two views whose views agree
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
    groups, hints = groups_of(seen, settings.associate, predicted)
    bodies = _bodies(seen, groups, hints, settings)
    people = [_person(seen, sightings, body) for body in bodies if _believable(body, settings)]
    taken = np.zeros(len(seen.view), dtype=np.bool_)
    for body in bodies:
        if _believable(body, settings):
            taken[body.group] = True
    single = {
        camera.name: tuple(
            sightings[camera.name][seen.index[s]]
            for s in np.flatnonzero((seen.view == view) & ~taken)
        )
        for view, camera in enumerate(seen.cameras)
    }
    return FramePeople(tuple(people), {name: alone for name, alone in single.items() if alone})


@dataclass(frozen=True, slots=True)
class _Body:
    """One group of sightings triangulated."""

    group: Ints  # indices into the observations
    points: F64  # (J, 3)
    sigma_m: F64  # (J,)
    reprojection_px: F64  # (J,)
    used: NDArray[np.bool_]  # (V, J)
    scores: F64  # (V, J) as used, sides put right
    reason: NDArray[np.int8]  # (J,)


def _bodies(
    seen: Observations,
    groups: list[Ints],
    hints: list[Prediction | None],
    settings: CaptureSettings,
) -> list[_Body]:
    """All groups' joints at once; again where sides were swapped or a view shows somebody else."""
    stack = _Stack.of(seen, groups)
    result = stack.triangulate(seen, settings)
    if groups and stack.put_sides_right(seen, result, hints):
        result = stack.triangulate(seen, settings)
    people, joints = len(groups), stack.scores.shape[2]
    united = _unite(seen, groups, hints, result.points.reshape(people, joints, 3))
    if united is not None:
        return _bodies(seen, *united, settings)
    dropped = result.dropped.reshape(-1, people, joints).sum(axis=2)  # (V, P)
    judged = dropped + result.used.reshape(-1, people, joints).sum(axis=2)
    foreign = (dropped > settings.max_dropped * judged) & (judged > 0)
    if foreign.any():
        kept = [group[~foreign[seen.view[group], p]] for p, group in enumerate(groups)]
        pairs = [(g, hint) for g, hint in zip(kept, hints, strict=True) if len(g) >= 2]
        return _bodies(seen, [g for g, _ in pairs], [hint for _, hint in pairs], settings)
    return _checked(stack, groups, hints, result)


def _unite(
    seen: Observations, groups: list[Ints], hints: list[Prediction | None], points: F64
) -> tuple[list[Ints], list[Prediction | None]] | None:
    """The groups with two put together that are one person's views apart; None if none are."""
    for first, second in twins(points):
        apart = np.intersect1d(seen.view[groups[first]], seen.view[groups[second]]).size == 0
        if not apart or (hints[first] is not None and hints[second] is not None):
            continue
        rest = [p for p in range(len(groups)) if p not in (first, second)]
        both = np.concatenate([groups[first], groups[second]])
        hint = hints[first] if hints[first] is not None else hints[second]
        return [*(groups[p] for p in rest), both], [*(hints[p] for p in rest), hint]
    return None


def _checked(
    stack: _Stack, groups: list[Ints], hints: list[Prediction | None], result: Triangulation
) -> list[_Body]:
    """The bodies without joints that no body, or not this one, could have there."""
    views, people, joints = stack.scores.shape
    points = result.points.reshape(people, joints, 3)
    sigma = result.sigma_m.reshape(people, joints)
    used = result.used.reshape(views, people, joints)
    reason = result.reason.reshape(people, joints)
    reprojection = result.reprojection_px.reshape(people, joints)
    bad = impossible_joints(points, sigma, used.sum(axis=0))
    bad |= _unexpected(points, sigma, used.sum(axis=0), hints)
    if bad.any():
        points[bad], sigma[bad], reprojection[bad] = np.nan, np.nan, np.nan
        used[:, bad], reason[bad] = False, Reason.REJECTED
    return [
        _Body(
            group,
            points[p],
            sigma[p],
            reprojection[p],
            used[:, p],
            stack.scores[:, p],
            reason[p],
        )
        for p, group in enumerate(groups)
    ]


def _unexpected(
    points: F64, sigma_m: F64, views: Ints, hints: Sequence[Prediction | None]
) -> NDArray[np.bool_]:
    """(P, J) joints made by two views only, far from where the tracker expects them.

    Two views can agree on a wrong point along both epipolar lines; the track is the third witness.
    Its sigma grows while a joint is unseen, so a joint that truly moved comes back soon.
    """
    bad = np.zeros(points.shape[:2], dtype=np.bool_)
    for person, hint in enumerate(hints):
        if hint is None:
            continue
        off = np.sqrt(((points[person] - hint.positions) ** 2).sum(axis=1))
        reach = UNEXPECTED_SIGMA * np.hypot(sigma_m[person], hint.sigma_m)
        bad[person] = (views[person] == 2) & (off > reach)  # NaN compares as False
    return bad


@dataclass(frozen=True, slots=True)
class _Stack:
    """The groups' sightings side by side: V views, P people, J joints."""

    pixels: F64  # (V, P, J, 2)
    norm: F64  # (V, P, J, 2)
    scores: F64  # (V, P, J)

    @staticmethod
    def of(seen: Observations, groups: Sequence[Ints]) -> _Stack:
        """The arrays of these groups; NaN and score 0 where a view is not in a group."""
        joints, views = seen.joints_px.shape[1], len(seen.cameras)
        pixels = np.full((views, len(groups), joints, 2), np.nan)
        stack = _Stack(pixels, pixels.copy(), np.zeros((views, len(groups), joints)))
        if groups:
            members = np.concatenate(groups)
            person = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
            stack.pixels[seen.view[members], person] = seen.joints_px[members]
            stack.norm[seen.view[members], person] = seen.norm[members]
            stack.scores[seen.view[members], person] = seen.scores[members]
        return stack

    def triangulate(self, seen: Observations, settings: CaptureSettings) -> Triangulation:
        """All joints of all people at once, each person with a noise scale of their own."""
        views, people, joints = self.scores.shape
        return triangulate(
            seen.cameras,
            self.pixels.reshape(views, -1, 2),
            self.scores.reshape(views, -1),
            settings.triangulate,
            norm=self.norm.reshape(views, -1, 2),
            groups=np.repeat(np.arange(people), joints),
        )

    def put_sides_right(
        self, seen: Observations, result: Triangulation, hints: Sequence[Prediction | None]
    ) -> bool:
        """Exchange left and right in place where a view has them swapped; whether any was."""
        _, people, joints = self.scores.shape
        points = result.points.reshape(people, joints, 3)
        none = np.full((joints, 3), np.nan)
        expected = np.stack([none if hint is None else hint.positions for hint in hints])
        swapped = swapped_parts(seen.cameras, self.norm, points, self.scores, expected)
        if not swapped.any():
            return False
        for array in (self.pixels, self.norm):
            array[swapped] = mirrored(array)[swapped]
        self.scores[swapped] = mirrored(self.scores[..., None])[..., 0][swapped]
        return True


def _believable(body: _Body, settings: CaptureSettings) -> bool:
    """Whether a group is a person: enough joints, of those seen twice most agree, not too large."""
    points = body.points[np.isfinite(body.points[:, 0])]
    contradicted = int((body.reason == Reason.REJECTED).sum())
    if len(points) < max(settings.min_joints, settings.min_agreeing * (len(points) + contradicted)):
        return False
    return bool(np.ptp(points, axis=0).max() <= settings.max_span_m)


def _person(seen: Observations, sightings: Mapping[str, Sequence[Sighting]], body: _Body) -> Person:
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
