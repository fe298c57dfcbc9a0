"""Whose joint is whose: peaks of one picture become people, their gaps are filled.

Associative embedding (Newell, Huang, Deng 2017) with three kinds of evidence, each a squared
distance in units of its own spread: the tag, where a peak believes the middle of its person to
be, and where a person expects the joint. Joints are taken in a given order and all peaks of one
joint are assigned to people at once; a sure peak that fits nobody founds a person. What is not
known is NaN and counts nothing, so a network with tags alone is grouped by tags alone.

Assignments of equal gain are equally good and may differ between the definition in numpy and
scipy and the compiled loop; their gains agree. Imports neither PyTorch nor Triton.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .compiled import compiled
from .errors import BadOperand

__all__ = ["GroupRules", "Groups", "JointPeaks", "group_peaks", "likeness_table", "reference"]

F64: TypeAlias = NDArray[np.float64]
Int: TypeAlias = NDArray[np.int64]
Crowd: TypeAlias = dict[str, NDArray[Any]]  # what is known of people, a row of each for one

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True)
class JointPeaks:
    """Peaks of one picture, all lengths in one unit; NaN where the network does not say."""

    joints: F64  # (J, K, 2) where
    scores: F64  # (J, K) how sure, 0 where there are fewer than K
    tags: F64  # (J, K, D)
    centers: F64  # (J, K, 2) where the middle of its person should be
    sizes: F64  # (J, K) how large its person should be


@dataclass(frozen=True, slots=True)
class GroupRules:
    """Order, thresholds and spreads."""

    order: tuple[int, ...]  # joints, surest first
    torso: tuple[int, ...]  # joints whose mean is a person's middle
    peak_score: float = 0.1  # a weaker peak belongs to nobody
    founder_score: float = 0.3  # a peak that fits nobody founds a person from here on
    tag_spread: float = 1.0
    center_spread: float = 0.35  # over the person's size
    place_spread: float = 0.4  # over the person's size
    gate: float = 9.0  # misfits from here on are strangers
    seed_weight: float = 1.0  # of a person's own centre against its joints' scores
    smallest: float = 8.0  # least size of a person
    fill_score: float = 0.03  # a peak this weak may fill a gap
    fill_reach: float = 0.15  # over the person's size, from where the joint is expected


@dataclass(frozen=True, slots=True)
class Groups:
    """People as ranks of their peaks; the given people first, then the founded ones."""

    members: Int  # (P, J) rank of the peak, -1 where none
    filled: Int  # (P, J) rank of a weak peak near where the joint is expected, -1 where none
    gain: float  # sum over all assignments, what the assignment makes largest


def group_peaks(peaks: JointPeaks, expected: F64, rules: GroupRules) -> Groups:
    """People of one picture, by the fastest way installed.

    Args:
        peaks: of the picture.
        expected: (S, J, 2) where people known beforehand, from a centre map for instance, should
            have their joints; S may be 0.
        rules: order, thresholds and spreads.

    Raises:
        BadOperand: arrays of shapes that do not belong together.
    """
    _check(peaks, expected, rules)
    if not compiled():
        return reference(peaks, expected, rules)
    from .grouping_numba import assemble  # numba is imported on first use

    members, filled, gain = assemble(
        *(_plain(peaks.joints), _plain(peaks.scores), _plain(peaks.tags)),
        *(_plain(peaks.centers), _plain(peaks.sizes), _plain(expected)),
        *(np.asarray(rules.order, dtype=np.int64), np.asarray(rules.torso, dtype=np.int64)),
        *(rules.peak_score, rules.founder_score, rules.tag_spread, rules.center_spread),
        *(rules.place_spread, rules.gate, rules.seed_weight, rules.smallest),
        *(rules.fill_score, rules.fill_reach),
    )
    return Groups(members, filled, float(gain))


def reference(peaks: JointPeaks, expected: F64, rules: GroupRules) -> Groups:
    """The definition, and the path without numba. Arguments as :func:`group_peaks`'s."""
    seeds, joints = len(expected), peaks.scores.shape[0]
    # What is known of each person: one row each, founded people are appended.
    extent = np.ptp(expected, axis=1).max(1) if seeds else np.zeros(0)
    crowd: Crowd = {
        "tag": np.full((seeds, peaks.tags.shape[2]), np.nan),
        "tag_weight": np.zeros(seeds),
        "center": expected[:, list(rules.torso)].mean(1) if seeds else np.zeros((0, 2)),
        "center_weight": np.full(seeds, rules.seed_weight),
        "size": np.maximum(extent, rules.smallest),
        "expected": expected,
        "members": np.full((seeds, joints), -1, dtype=np.int64),
    }
    total = 0.0
    for joint in rules.order:
        scores = peaks.scores[joint]
        ranks = np.flatnonzero(scores >= rules.peak_score)
        misfit = _misfit(crowd, peaks, joint, ranks, rules)
        fits = misfit < rules.gate
        gain = np.where(fits, scores[ranks] * np.exp(-misfit / 4), 0.0)
        people, chosen = linear_sum_assignment(gain, maximize=True)
        real = gain[people, chosen] > 0
        people, chosen = people[real], chosen[real]
        total += float(gain[people, chosen].sum())
        _add(crowd, peaks, joint, people, ranks[chosen])
        strangers = ranks[~fits.any(0) & (scores[ranks] >= rules.founder_score)]
        first = len(crowd["tag"])
        for name, value in _newcomer(joints, peaks.tags.shape[2], rules).items():
            crowd[name] = np.concatenate([crowd[name], np.repeat(value, len(strangers), axis=0)])
        _add(crowd, peaks, joint, first + np.arange(len(strangers)), strangers)
    return Groups(crowd["members"], _fill(crowd, peaks, rules), total)


def likeness_table(first: F64, second: F64, spreads: F64) -> F64:
    """COCO's keypoint similarity of every pose with every other, over the joints both have.

    Args:
        first: (P, J, 2), NaN where unseen.
        second: (Q, J, 2)
        spreads: (J,) how far apart a joint may be, over the longer side of the larger pose's box.

    Returns:
        (P, Q) 0 to 1; 0 where two share no joint or have no extent.
    """
    apart = ((first[:, None] - second[None]) ** 2).sum(-1)  # (P, Q, J), NaN unless both have it
    shared = (~np.isnan(apart)).sum(-1)
    size = np.maximum(_extents(first)[:, None], _extents(second)[None])
    reach = 2 * (size[..., None] * spreads) ** 2  # (P, Q, J)
    like = np.exp(-np.nan_to_num(apart, nan=np.inf) / np.where(reach > 0, reach, _TINY)).sum(-1)
    return np.asarray(np.where(size > 0, like / np.maximum(shared, 1), 0.0), dtype=np.float64)


def _extents(poses: F64) -> F64:
    """(P,) longer side of the box around the joints that are not NaN; 0 if there are none."""
    high = np.where(np.isnan(poses), -np.inf, poses).max(1, initial=-np.inf)
    low = np.where(np.isnan(poses), np.inf, poses).min(1, initial=np.inf)
    extents: F64 = np.maximum(high - low, 0.0).max(-1, initial=0.0)
    return extents


def _newcomer(joints: int, tag_size: int, rules: GroupRules) -> Crowd:
    """Rows of a person of whom nothing is known yet."""
    return {
        "tag": np.full((1, tag_size), np.nan),
        "tag_weight": np.zeros(1),
        "center": np.full((1, 2), np.nan),
        "center_weight": np.zeros(1),
        "size": np.full(1, rules.smallest),
        "expected": np.full((1, joints, 2), np.nan),
        "members": np.full((1, joints), -1, dtype=np.int64),
    }


def _misfit(crowd: Crowd, peaks: JointPeaks, joint: int, ranks: Int, rules: GroupRules) -> F64:
    """(P, N) how badly peaks of one joint fit people; what is not known counts nothing."""
    size = crowd["size"][:, None]
    terms = (
        _squares(crowd["tag"], peaks.tags[joint, ranks]) / rules.tag_spread**2,
        _squares(crowd["center"], peaks.centers[joint, ranks]) / (rules.center_spread * size) ** 2,
        _squares(crowd["expected"][:, joint], peaks.joints[joint, ranks])
        / (rules.place_spread * size) ** 2,
    )
    return np.asarray(sum(np.nan_to_num(term) for term in terms), dtype=np.float64)


def _add(crowd: Crowd, peaks: JointPeaks, joint: int, people: Int, ranks: Int) -> None:
    """Give people peaks, and move what is known of them there."""
    weight = peaks.scores[joint, ranks]
    crowd["members"][people, joint] = ranks
    before = crowd["tag_weight"][people]
    told = _mean(crowd["size"][people, None], before, peaks.sizes[joint, ranks, None], weight)
    alone = np.isnan(crowd["expected"][people, 0, 0])  # others keep the size they are expected in
    crowd["size"][people] = np.where(alone, told[:, 0], crowd["size"][people])
    crowd["tag"][people] = _mean(crowd["tag"][people], before, peaks.tags[joint, ranks], weight)
    crowd["tag_weight"][people] += weight
    before = crowd["center_weight"][people]
    center = _mean(crowd["center"][people], before, peaks.centers[joint, ranks], weight)
    crowd["center"][people] = center
    crowd["center_weight"][people] += weight


def _fill(crowd: Crowd, peaks: JointPeaks, rules: GroupRules) -> Int:
    """(P, J) nearest free weak peaks to where missing joints are expected, -1 where none."""
    members = crowd["members"]
    filled = np.full(members.shape, -1, dtype=np.int64)
    for joint in range(members.shape[1]):
        free = peaks.scores[joint] >= rules.fill_score
        free[members[members[:, joint] >= 0, joint].astype(np.intp)] = False
        ranks = np.flatnonzero(free)
        if not len(ranks):
            continue
        apart = np.sqrt(_squares(crowd["expected"][:, joint], peaks.joints[joint, ranks]))
        near = apart < rules.fill_reach * crowd["size"][:, None]  # NaN is near nothing
        near &= _misfit(crowd, peaks, joint, ranks, rules) < rules.gate
        near &= members[:, joint, None] < 0
        best = ranks[np.where(near, apart, np.inf).argmin(1)]
        filled[:, joint] = np.where(near.any(1), best, -1)
    return filled


def _squares(people: F64, peaks: F64) -> F64:
    """(P, D) and (N, D) -> (P, N) squared distances."""
    return np.asarray(((people[:, None] - peaks[None]) ** 2).sum(-1), dtype=np.float64)


def _mean(old: F64, old_weight: F64, new: F64, new_weight: F64) -> F64:
    """Weighted mean of rows; what has no weight yet is replaced, whatever it holds."""
    known = np.where(old_weight[:, None] > 0, old, 0.0)
    total = np.maximum(old_weight + new_weight, _TINY)[:, None]
    return np.asarray(
        (known * old_weight[:, None] + new * new_weight[:, None]) / total, dtype=np.float64
    )


def _plain(array: F64) -> F64:
    """Contiguous float64, so that the compiled loop has one form."""
    return np.ascontiguousarray(array, dtype=np.float64)


def _check(peaks: JointPeaks, expected: F64, rules: GroupRules) -> None:
    joints, count = peaks.scores.shape
    shapes = {
        "joints": (peaks.joints.shape, (joints, count, 2)),
        "tags": (peaks.tags.shape, (joints, count, peaks.tags.shape[-1])),
        "centers": (peaks.centers.shape, (joints, count, 2)),
        "sizes": (peaks.sizes.shape, (joints, count)),
        "expected": (expected.shape, (len(expected), joints, 2)),
    }
    for name, (shape, wanted) in shapes.items():
        if shape != wanted:
            raise BadOperand(f"{name} is {shape}, scores say {wanted}; give arrays of one picture")
    if any(not 0 <= joint < joints for joint in (*rules.order, *rules.torso)):
        raise BadOperand(f"order and torso name joints beyond {joints - 1}; match the skeleton")
