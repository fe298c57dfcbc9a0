"""Groups of sightings turned into bodies in metres, and set right where they contradict themselves.

The association is a first guess from rays alone. Once joints have places in the world more shows:
a view that swapped left and right, two halves of one person, a view that shows somebody else, a
joint where no body could have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibration.triangulate import Reason, TriangulateSettings, Triangulation, triangulate

from .anatomy import SWAP_MIN_JOINTS, impossible_joints, mirrored, swapped_parts, twins
from .associate import AssociateSettings, Groups, mirrored_fit
from .observations import Observations
from .people import F64, NO_ID, Prediction

__all__ = ["Body", "CaptureSettings", "bodies_of", "settings_for"]

Ints = NDArray[np.int64]

UNEXPECTED_SIGMA = 5.0  # of a joint made by two views against the track's expectation


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What the 3D part of a frame goes by."""

    associate: AssociateSettings = field(default_factory=AssociateSettings)
    triangulate: TriangulateSettings = field(default_factory=TriangulateSettings)
    min_joints: int = 5  # a person with fewer joints in metres is taken for a chance meeting
    min_agreeing: float = 0.6  # share of the joints seen by two views whose views agree
    # A view whose joints were left out as outliers to this share shows somebody else.
    max_dropped: float = 0.75
    max_span_m: float = 2.8  # between two joints of one person: arms spread, or tall with arms up


@dataclass(frozen=True, slots=True)
class Body:
    """One group of sightings triangulated."""

    group: Ints  # indices into the observations
    points: F64  # (J, 3)
    sigma_m: F64  # (J,)
    reprojection_px: F64  # (J,)
    views: Ints  # (J,) that made the joint
    scores: F64  # (J,) mean over those views
    reason: NDArray[np.int8]  # (J,)
    swapped: Ints  # views, indices into the cameras, whose left and right were exchanged


def settings_for(noise: float) -> CaptureSettings:
    """The defaults for a detector of another precision.

    Args:
        noise: of a joint's pixel, one sigma per axis, as a share of the picture's longer side;
            a network that sees the picture at N pixels and is good to two of them has 2 / N.
    """
    return CaptureSettings(AssociateSettings(noise=noise), TriangulateSettings(noise=noise))


def bodies_of(seen: Observations, groups: Groups, settings: CaptureSettings) -> list[Body]:
    """Everybody who can be believed: all joints at once, again where a group proves wrong."""
    if not groups.members:
        return []
    stack, result = _solved(seen, groups, settings)
    for step in (_adopted, _united, _expelled):
        changed = step(seen, groups, result, settings)
        if changed is not None:
            groups = changed
            if not groups.members:
                return []
            stack, result = _solved(seen, groups, settings)
    return _checked(stack, groups, result, settings)


def _solved(
    seen: Observations, groups: Groups, settings: CaptureSettings
) -> tuple[_Stack, Triangulation]:
    """The groups triangulated, after left and right are put right in views that swap them."""
    stack = _Stack.of(seen, groups.members)
    result = stack.triangulate(seen, settings)
    if stack.put_sides_right(seen, result, groups.tracks):
        result = stack.triangulate(seen, settings)
    return stack, result


def _adopted(
    seen: Observations, groups: Groups, result: Triangulation, settings: CaptureSettings
) -> Groups | None:
    """The groups with sightings that fit once left and right are exchanged; None if none do.

    Its sides swapped, a sighting fits no other view and is left over by the association.
    """
    left = (seen.scores > 0).sum(axis=1) >= settings.min_joints
    left[np.concatenate(groups.members)] = False
    alone = np.flatnonzero(left)
    if len(alone) == 0:
        return None
    points = result.points.reshape(len(groups.members), -1, 3)
    bodies = [Prediction(NO_ID, at, np.zeros(len(at))) for at in points]
    fit = mirrored_fit(seen, alone, bodies, settings.associate)  # (alone, P)
    for person, group in enumerate(groups.members):
        fit[np.isin(seen.view[alone], seen.view[group]), person] = -np.inf
    members, changed = list(groups.members), False
    while fit.max() > 0:
        row, person = divmod(int(fit.argmax()), len(members))
        members[person] = np.append(members[person], alone[row])
        fit[row], changed = -np.inf, True
        fit[seen.view[alone] == seen.view[alone[row]], person] = -np.inf
    return Groups(members, groups.tracks) if changed else None


def _united(
    seen: Observations, groups: Groups, result: Triangulation, settings: CaptureSettings
) -> Groups | None:
    """The groups with those put together that are one person's views apart; None if none are."""
    members, tracks = list(groups.members), list(groups.tracks)
    gone: set[int] = set()
    for first, second, same_sides in twins(result.points.reshape(len(members), -1, 3)):
        apart = np.intersect1d(seen.view[members[first]], seen.view[members[second]]).size == 0
        known = (tracks[first] is not None) + (tracks[second] is not None)
        # Without a track nobody can say which of two mirror images has its sides right.
        solvable = known == 1 or (known == 0 and same_sides)
        if apart and solvable and not gone & {first, second}:
            members[first] = np.concatenate([members[first], members[second]])
            tracks[first] = tracks[first] or tracks[second]
            gone.add(second)
    if not gone:
        return None
    kept = [p for p in range(len(members)) if p not in gone]
    return Groups([members[p] for p in kept], [tracks[p] for p in kept])


def _expelled(
    seen: Observations, groups: Groups, result: Triangulation, settings: CaptureSettings
) -> Groups | None:
    """The groups without views most of whose joints were outliers: they show somebody else."""
    people = len(groups.members)
    dropped = result.dropped.reshape(len(seen.cameras), people, -1).sum(axis=2)  # (V, P)
    judged = dropped + result.used.reshape(len(seen.cameras), people, -1).sum(axis=2)
    foreign = (dropped > settings.max_dropped * judged) & (judged > 0)
    if not foreign.any():
        return None
    members = [group[~foreign[seen.view[group], p]] for p, group in enumerate(groups.members)]
    kept = [p for p in range(people) if len(members[p]) >= 2]
    return Groups([members[p] for p in kept], [groups.tracks[p] for p in kept])


def _checked(
    stack: _Stack, groups: Groups, result: Triangulation, settings: CaptureSettings
) -> list[Body]:
    """The believable bodies, without joints that no body, or not this one, could have there."""
    views, people, joints = stack.scores.shape
    points = result.points.reshape(people, joints, 3)
    sigma = result.sigma_m.reshape(people, joints)
    used = result.used.reshape(views, people, joints)
    reason = result.reason.reshape(people, joints)
    reprojection = result.reprojection_px.reshape(people, joints)
    count = used.sum(axis=0)  # (P, J)
    bad = impossible_joints(points, sigma, count)
    bad |= _unexpected(points, sigma, count, groups.tracks)
    if bad.any():
        points[bad], sigma[bad], reprojection[bad] = np.nan, np.nan, np.nan
        used[:, bad], reason[bad], count[bad] = False, Reason.REJECTED, 0
    scores = np.where(used, stack.scores, 0.0).sum(axis=0) / np.maximum(count, 1)
    scores = np.minimum(scores, 1.0)
    return [
        Body(
            groups.members[p],
            points[p],
            sigma[p],
            reprojection[p],
            count[p],
            scores[p],
            reason[p],
            np.flatnonzero(stack.swapped[:, p]),
        )
        for p in _believable(points, reason, settings)
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
    swapped: NDArray[np.bool_]  # (V, P) left and right were exchanged, of a part at least

    @staticmethod
    def of(seen: Observations, groups: Sequence[Ints]) -> _Stack:
        """The arrays of these groups; NaN and score 0 where a view is not in a group."""
        joints, views = seen.joints_px.shape[1], len(seen.cameras)
        pixels = np.full((views, len(groups), joints, 2), np.nan)
        none = np.zeros((views, len(groups)), dtype=np.bool_)
        stack = _Stack(pixels, pixels.copy(), np.zeros((*none.shape, joints)), none)
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
        views, people, joints = self.scores.shape
        # A swapped part leaves its joints as outliers; without enough of those there is none.
        if result.dropped.reshape(views, people, joints).sum(axis=2).max() < SWAP_MIN_JOINTS:
            return False
        points = result.points.reshape(people, joints, 3)
        none = np.full((joints, 3), np.nan)
        expected = np.stack([none if hint is None else hint.positions for hint in hints])
        # The track is not misled by views that swap; but where it calls most views swapped, it is
        # the one that is wrong, and the views decide among themselves.
        reference = np.where(np.isfinite(expected), expected, points)
        swapped = swapped_parts(seen.cameras, self.norm, reference, self.scores)
        views_with = (self.scores > 0).any(axis=2).sum(axis=0)  # (P,)
        outvoted = 2 * swapped.any(axis=2).sum(axis=0) > views_with
        if outvoted.any():
            reference = np.where(np.isfinite(points), points, expected)
            again = swapped_parts(seen.cameras, self.norm, reference, self.scores)
            swapped[:, outvoted] = again[:, outvoted]
        if not swapped.any():
            return False
        for array in (self.pixels, self.norm):
            array[swapped] = mirrored(array)[swapped]
        self.scores[swapped] = mirrored(self.scores[..., None])[..., 0][swapped]
        self.swapped[:] |= swapped.any(axis=2) & (self.scores > 0).any(axis=2)
        return True


def _believable(points: F64, reason: NDArray[np.int8], settings: CaptureSettings) -> list[int]:
    """Which groups are people: enough joints, of those seen twice most agree, not too large."""
    known = reason == Reason.TRIANGULATED  # (P, J)
    count = known.sum(axis=1)
    judged = count + (reason == Reason.REJECTED).sum(axis=1)
    there = known[..., None]
    high = np.where(there, points, -np.inf).max(axis=1)
    low = np.where(there, points, np.inf).min(axis=1)
    small = ((high - low) <= settings.max_span_m).all(axis=1)  # -inf without any joint
    enough = count >= np.maximum(settings.min_joints, settings.min_agreeing * judged)
    return [int(p) for p in np.flatnonzero(enough & small)]
