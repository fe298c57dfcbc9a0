"""Who in one view is who in another.

Every pair of sightings from two views gets a log-likelihood ratio, "one person" against "two",
summed over their joints: one person's rays through a joint pass each other closely, two people's
anywhere. People are then the partition of all sightings with the largest total inside its parts,
at most one sighting a view in each (correlation clustering): found by greedy contraction (Keuper
et al. 2015, GAEC) and improved view by view with an exact assignment. Consistency around cycles
comes from the total: a sighting that fits one member of a group and contradicts the others does
not join. Tracked people enter as one more view whose "rays" are points. The cost grows with the
square of the number of sightings, whatever the number of views.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from calibration.rig import Rig
from models.sighting import Sighting

from .anatomy import mirrored
from .observations import Observations, observe
from .people import F64, Prediction

__all__ = ["AssociateSettings", "Group", "Groups", "associate", "groups_of", "mirrored_fit"]

Group = Mapping[str, int]  # camera name -> index into that camera's sightings

MIN_SIN2 = 1e-4  # rays within 0.6 degrees of parallel pass each other closely whoever they show
MIN_DEPTH_M = 0.1
IMPROVING_ROUNDS = 3  # one is nearly always enough; each can only raise the total


@dataclass(frozen=True, slots=True)
class AssociateSettings:
    """How closely the rays of one person pass each other."""

    # One sigma per axis as a share of the picture's longer side, as in TriangulateSettings.
    noise: float = 0.0035
    noise_m: float = 0.03  # of a joint on the body, and of the calibration, one sigma
    spread_m: float = 1.0  # how far apart the rays of two different people typically pass
    min_score: float = 0.1  # joints below do not vote
    min_joints: int = 3  # fewer joints in common say nothing


@dataclass(frozen=True, slots=True)
class Groups:
    """Everybody seen from two views or more."""

    members: list[NDArray[np.int64]]  # of each person, indices into the observations
    tracks: list[Prediction | None]  # that each person joined


def associate(
    rig: Rig,
    sightings: Mapping[str, Sequence[Sighting]],
    settings: AssociateSettings | None = None,
    tracks: Sequence[Prediction] = (),
) -> tuple[Group, ...]:
    """The sightings of each person, for everybody seen by two cameras or more.

    Args:
        rig: the calibrated cameras.
        sightings: by camera name, in pixels of the frames as posted.
        settings: noise and thresholds.
        tracks: where known people are expected; optional.
    """
    seen = observe(rig, sightings)
    groups = groups_of(seen, settings or AssociateSettings(), tracks)
    return tuple(dict(map(seen.names, members.tolist())) for members in groups.members)


def groups_of(
    seen: Observations, settings: AssociateSettings, tracks: Sequence[Prediction] = ()
) -> Groups:
    """Everybody seen from two views or more."""
    count = len(seen.view)
    if count == 0:
        return Groups([], [])
    tracks = [track for track in tracks if np.isfinite(track.positions).any()]
    node_view = np.concatenate([seen.view, np.full(len(tracks), len(seen.cameras))])
    total = np.full((count + len(tracks),) * 2, -np.inf)
    rays = _Rays.of(seen, settings)
    total[:count, :count] = _between_views(seen, rays, settings)
    if tracks:
        edges = _to_tracks(rays, tracks, settings)
        total[:count, count:], total[count:, :count] = edges, edges.T
    total[node_view[:, None] == node_view] = -np.inf
    labels = _improve(total, _contract(total), node_view)
    groups = Groups([], [])
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        track = members[members >= count]
        members = members[members < count]
        if len(members) >= 2:
            groups.members.append(members)
            groups.tracks.append(tracks[track[0] - count] if len(track) else None)
    return groups


def mirrored_fit(
    seen: Observations,
    which: NDArray[np.intp],
    bodies: Sequence[Prediction],
    settings: AssociateSettings,
) -> F64:
    """(n, P) log-likelihood ratio that a sighting shows a body with left and right exchanged."""
    swapped = Observations(
        seen.cameras,
        seen.view[which],
        seen.index[which],
        mirrored(seen.joints_px[which]),
        mirrored(seen.norm[which]),
        mirrored(seen.scores[which][..., None])[..., 0],
    )
    return _to_tracks(_Rays.of(swapped, settings), bodies, settings)


@dataclass(frozen=True, slots=True)
class _Rays:
    """The joints' rays in the world, joints first."""

    center: F64  # (S, 3)
    direction: F64  # (J, S, 3) unit
    moment: F64  # (J, S, 3) center x direction
    weight: F64  # (J, S) square root of score, 0 unseen
    noise: F64  # (S,) metres of noise per metre of depth

    @staticmethod
    def of(seen: Observations, settings: AssociateSettings) -> _Rays:
        """The rays of all sightings; unseen joints look along the optical axis with weight 0."""
        rotation = np.stack([camera.cam_from_world[:3, :3] for camera in seen.cameras])[seen.view]
        center = np.stack([camera.center_world for camera in seen.cameras])[seen.view]
        longer = [max(camera.size_px) / camera.K[0, 0] for camera in seen.cameras]
        usable = seen.scores >= settings.min_score
        cam = np.ones((*usable.shape, 3))  # (S, J, 3)
        cam[..., :2] = np.where(usable[..., None], seen.norm, 0.0)
        cam /= np.sqrt((cam * cam).sum(axis=2, keepdims=True))
        direction = np.ascontiguousarray((cam @ rotation).transpose(1, 0, 2))  # (J, S, 3)
        # center x direction, written out: np.cross takes five times as long on so few.
        x, y, z = np.moveaxis(direction, 2, 0)
        a, b, c = center.T
        moment = np.stack([b * z - c * y, c * x - a * z, a * y - b * x], axis=2)
        weight = np.sqrt(np.where(usable, seen.scores, 0.0)).T
        return _Rays(
            center,
            np.ascontiguousarray(direction),
            moment,
            weight,
            settings.noise * np.array(longer)[seen.view],
        )


def _between_views(seen: Observations, rays: _Rays, settings: AssociateSettings) -> F64:
    """(S, S) log-likelihood ratio that two sightings are one person."""
    direction, moment = rays.direction, rays.moment
    cos = direction @ direction.transpose(0, 2, 1)  # (J, S, S)
    sin2 = np.maximum(1.0 - cos**2, MIN_SIN2)
    # Pluecker: two lines' reciprocal product over the sine of their angle is their distance.
    cross = direction @ moment.transpose(0, 2, 1)
    distance2 = (cross + cross.transpose(0, 2, 1)) ** 2 / sin2
    # Depth along each ray where it passes the other: from (c2 - c1) . d1 and (c2 - c1) . d2.
    along = direction @ rays.center.T  # (J, S, S): d_a . c_b
    own = np.diagonal(along, axis1=1, axis2=2)[:, :, None]  # d_a . c_a
    ahead = along - own  # (c_b - c_a) . d_a
    depth = (ahead + cos * ahead.transpose(0, 2, 1)) / sin2
    behind = (depth < MIN_DEPTH_M) | (depth.transpose(0, 2, 1) < MIN_DEPTH_M)
    spread2 = (depth * rays.noise[:, None]) ** 2 + settings.noise_m**2
    variance = spread2 + spread2.transpose(0, 2, 1)
    ratio = _log_ratio(distance2, variance, behind, settings.spread_m)
    both = rays.weight[:, :, None] * rays.weight[:, None]
    both = np.where(1.0 - cos**2 < MIN_SIN2, 0.0, both)
    enough = (both > 0).sum(axis=0) >= settings.min_joints
    return np.where(enough, (both * ratio).sum(axis=0), 0.0)


def _to_tracks(rays: _Rays, tracks: Sequence[Prediction], settings: AssociateSettings) -> F64:
    """(S, T) log-likelihood ratio that a sighting shows a tracked person."""
    positions = np.array([track.positions for track in tracks]).transpose(1, 0, 2)  # (J, T, 3)
    known = np.isfinite(positions[:, :, 0])  # (J, T)
    sigma = np.where(known, np.array([track.sigma_m for track in tracks]).T, 0.0)
    positions = np.where(known[..., None], positions, 0.0)
    to_point = positions[:, None] - rays.center[:, None]  # (J, S, T, 3)
    depth = np.einsum("jstx,jsx->jst", to_point, rays.direction)
    distance2 = np.maximum((to_point**2).sum(axis=3) - depth**2, 0.0)
    variance = (depth * rays.noise[:, None]) ** 2 + settings.noise_m**2 + sigma[:, None] ** 2
    # A point beside a ray is off in two directions, a ray in one; scoring both alike keeps a
    # track's vote comparable to a view's.
    ratio = _log_ratio(distance2, variance, depth < MIN_DEPTH_M, settings.spread_m)
    both = rays.weight[:, :, None] * known[:, None]
    enough = (both > 0).sum(axis=0) >= settings.min_joints
    return np.where(enough, (both * ratio).sum(axis=0), 0.0)


def _log_ratio(distance2: F64, variance: F64, behind: NDArray[np.bool_], spread_m: float) -> F64:
    """Gaussian of the noise against flat over `spread_m`, cut off so one joint cannot veto.

    Rays that pass behind a camera get the cut-off value.
    """
    gain = -0.5 * np.log(variance * (2 * np.pi / spread_m**2))
    floor = -np.abs(gain)
    ratio = np.maximum(gain - 0.5 * distance2 / variance, floor)
    return np.where(behind, floor, ratio)


def _contract(total: F64) -> NDArray[np.int64]:
    """(S,) labels: joined pair by pair, the largest total first, while that is positive."""
    total = total.copy()
    count = len(total)
    labels = np.arange(count)
    while True:
        best = int(total.argmax())
        keep, drop = divmod(best, count)
        if not total[keep, drop] > 0:
            return labels
        labels[labels == drop] = keep
        # Sums of a forbidden pair stay -inf: the parts can never share a view.
        total[keep] += total[drop]
        total[:, keep] = total[keep]
        total[keep, keep] = -np.inf
        total[drop] = -np.inf
        total[:, drop] = -np.inf


def _improve(
    total: F64, labels: NDArray[np.int64], node_view: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(S,) labels after giving each view's sightings to the other views' groups anew."""
    gain = np.where(np.isfinite(total), total, 0.0)
    for _ in range(IMPROVING_ROUNDS):
        groups, where = np.unique(labels, return_inverse=True)
        if _all_content(gain, where, len(groups)):
            break
        for view in range(int(node_view.max()) + 1):
            labels = _reassign(gain, labels, np.flatnonzero(node_view == view))
    return labels


def _all_content(gain: F64, where: NDArray[np.intp], groups: int) -> bool:
    """Whether every sighting is where it fits best, so that no view's assignment can be better."""
    member = np.eye(groups)[where]  # (S, groups)
    to_group = gain @ member  # (S, groups), members of one's own view counting nothing
    own = to_group[np.arange(len(where)), where]
    return bool((own >= np.maximum(to_group.max(axis=1), 0.0)).all())


def _reassign(gain: F64, labels: NDArray[np.int64], mine: NDArray[np.intp]) -> NDArray[np.int64]:
    """(S,) labels with one view's sightings `mine` given to the others' groups in the best way."""
    others = np.setdiff1d(np.arange(len(labels)), mine, assume_unique=True)
    if len(others) == 0 or len(mine) == 0:
        return labels
    groups, where = np.unique(labels[others], return_inverse=True)
    fits = gain[np.ix_(mine, others)] @ np.eye(len(groups))[where]  # (mine, groups)
    # Staying alone costs nothing: one private column each.
    options = np.concatenate([fits, np.zeros((len(mine), len(mine)))], axis=1)
    rows, columns = linear_sum_assignment(options, maximize=True)
    alone = columns >= len(groups)
    labels = labels.copy()
    # Labels of those alone must be nobody else's; contraction's are indices below len(labels).
    labels[mine[rows]] = np.where(
        alone, len(labels) + mine[rows], np.append(groups, 0)[np.minimum(columns, len(groups))]
    )
    return labels
