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

from calibration.compiled import compiled
from calibration.rig import Rig
from models.sighting import Sighting

from .anatomy import mirrored
from .observations import Observations, observe
from .people import F64, Prediction
from .votes import AssociateSettings, SightingRays, between_views, to_tracks

__all__ = ["AssociateSettings", "Group", "Groups", "associate", "groups_of", "mirrored_fit"]

Group = Mapping[str, int]  # camera name -> index into that camera's sightings

IMPROVING_ROUNDS = 3  # one is nearly always enough; each can only raise the total


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
    rays = SightingRays.of(seen, settings)
    total[:count, :count] = between_views(seen, rays, settings)
    if tracks:
        edges = to_tracks(rays, tracks, settings)
        total[:count, count:], total[count:, :count] = edges, edges.T
    total[node_view[:, None] == node_view] = -np.inf
    labels = _improve(total, _contracted(total), node_view)
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
    return to_tracks(SightingRays.of(swapped, settings), bodies, settings)


def _contracted(total: F64) -> NDArray[np.int64]:
    """(S,) labels of the people that hang together best."""
    if not compiled():
        return _contract(total)
    from .associate_numba import contract  # numba is imported on first use

    return np.asarray(contract(total))


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
        if _content(gain, where, len(groups)):
            break
        for view in range(int(node_view.max()) + 1):
            labels = _reassign(gain, labels, np.flatnonzero(node_view == view))
    return labels


def _content(gain: F64, where: NDArray[np.intp], groups: int) -> bool:
    """Whether every sighting is where it fits best, so that no view's assignment can be better."""
    if compiled():
        from .associate_numba import all_content  # numba is imported on first use

        return bool(all_content(gain, where))
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
