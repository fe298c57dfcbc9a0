"""The loop behind :func:`kernels.grouping_fast.group_peaks`, compiled.

Same steps as its ``reference``, person by person instead of array by array.
"""

import numpy as np
from numpy.typing import NDArray

from .compiled import jit

__all__ = ["assemble", "assign"]

F64 = NDArray[np.float64]
Int = NDArray[np.int64]


@jit
def assign(gain: F64) -> Int:
    """Column of each row so that the sum of gains is largest, -1 where columns run out.

    Shortest augmenting paths with potentials (Jonker and Volgenant 1987), rows one by one.

    Args:
        gain: (R, C) not negative.
    """
    flipped = gain.shape[0] > gain.shape[1]
    table = gain.T if flipped else gain
    rows, cols = table.shape
    row_price, col_price = np.zeros(rows + 1), np.zeros(cols + 1)
    owner = np.zeros(cols + 1, dtype=np.int64)  # row + 1 of each column + 1
    back = np.zeros(cols + 1, dtype=np.int64)
    least, done = np.empty(cols + 1), np.empty(cols + 1, dtype=np.bool_)
    for row in range(1, rows + 1):
        owner[0] = row
        col = 0
        least[:] = np.inf
        done[:] = False
        while owner[col] != 0:
            done[col] = True
            here, step, following = owner[col], np.inf, 0
            for other in range(1, cols + 1):
                if done[other]:
                    continue
                cost = -table[here - 1, other - 1] - row_price[here] - col_price[other]
                if cost < least[other]:
                    least[other], back[other] = cost, col
                if least[other] < step:
                    step, following = least[other], other
            for other in range(cols + 1):
                if done[other]:
                    row_price[owner[other]] += step
                    col_price[other] -= step
                else:
                    least[other] -= step
            col = following
        while col != 0:
            owner[col] = owner[back[col]]
            col = back[col]
    chosen = np.full(gain.shape[0], -1, dtype=np.int64)
    for col in range(1, cols + 1):
        if owner[col] != 0:
            if flipped:
                chosen[col - 1] = owner[col] - 1
            else:
                chosen[owner[col] - 1] = col - 1
    return chosen


@jit
def _known(value: float) -> float:
    """What is not known counts nothing."""
    return 0.0 if np.isnan(value) else value


@jit
def _misfit(
    tag: F64, center: F64, size: float, expected: F64,
    peak_tag: F64, peak_center: F64, peak: F64, spreads: F64,
) -> float:  # fmt: skip
    """How badly a peak fits a person."""
    apart = 0.0
    for d in range(len(tag)):
        apart += (tag[d] - peak_tag[d]) ** 2
    middle = (center[0] - peak_center[0]) ** 2 + (center[1] - peak_center[1]) ** 2
    place = (expected[0] - peak[0]) ** 2 + (expected[1] - peak[1]) ** 2
    total: float = _known(apart / spreads[0] ** 2)
    total += _known(middle / (spreads[1] * size) ** 2)
    total += _known(place / (spreads[2] * size) ** 2)
    return total


@jit
def _mean(old: float, old_weight: float, new: float, new_weight: float) -> float:
    known = old if old_weight > 0 else 0.0
    total = max(old_weight + new_weight, 2.2250738585072014e-308)
    return (known * old_weight + new * new_weight) / total


@jit
def _add(
    person: int, joint: int, rank: int, alone: bool, members: Int,
    tag: F64, center: F64, size: F64, weights: F64,
    scores: F64, tags: F64, centers: F64, sizes: F64,
) -> None:  # fmt: skip
    """Give a person a peak, and move what is known of it there."""
    weight = scores[joint, rank]
    members[person, joint] = rank
    before = weights[person, 0]
    if alone:
        size[person] = _mean(size[person], before, sizes[joint, rank], weight)
    for d in range(tag.shape[1]):
        tag[person, d] = _mean(tag[person, d], before, tags[joint, rank, d], weight)
    weights[person, 0] += weight
    before = weights[person, 1]
    for axis in range(2):
        place = centers[joint, rank, axis]
        center[person, axis] = _mean(center[person, axis], before, place, weight)
    weights[person, 1] += weight


@jit
def _at_least(scores: F64, joint: int, least: float) -> Int:
    """Ranks of the peaks of one joint that are sure enough, best first."""
    ranks = np.empty(scores.shape[1], dtype=np.int64)
    count = 0
    for rank in range(scores.shape[1]):
        if scores[joint, rank] >= least:
            ranks[count] = rank
            count += 1
    return ranks[:count]


@jit
def assemble(
    joints: F64, scores: F64, tags: F64, centers: F64, sizes: F64, expected: F64,
    order: Int, torso: Int, peak_score: float, founder_score: float, tag_spread: float,
    center_spread: float, place_spread: float, gate: float, seed_weight: float, smallest: float,
    fill_score: float, fill_reach: float,
) -> tuple[Int, Int, float]:  # fmt: skip
    """Members, filled ranks and the sum of gains, as in ``Groups``."""
    seeds, (kinds, count) = len(expected), scores.shape
    spreads = np.array([tag_spread, center_spread, place_spread])
    room = seeds + kinds * count  # every peak might found a person
    members = np.full((room, kinds), -1, dtype=np.int64)
    tag, center = np.full((room, tags.shape[2]), np.nan), np.full((room, 2), np.nan)
    size, weights = np.full(room, smallest), np.zeros((room, 2))
    places = np.full((room, kinds, 2), np.nan)
    for seed in range(seeds):
        for axis in range(2):
            low, high, middle = np.inf, -np.inf, 0.0
            for joint in range(kinds):
                place = expected[seed, joint, axis]
                places[seed, joint, axis] = place
                low, high = min(low, place), max(high, place)
            for joint in torso:
                middle += expected[seed, joint, axis]
            center[seed, axis] = middle / len(torso)
            size[seed] = max(size[seed], high - low)
        weights[seed, 1] = seed_weight
    people, total = seeds, 0.0

    for joint in order:
        ranks = _at_least(scores, joint, peak_score)
        gain = np.zeros((people, len(ranks)))
        stranger = np.ones(len(ranks), dtype=np.bool_)
        for person in range(people):
            for column, rank in enumerate(ranks):
                misfit = _misfit(
                    tag[person], center[person], size[person], places[person, joint],
                    tags[joint, rank], centers[joint, rank], joints[joint, rank], spreads,
                )  # fmt: skip
                if misfit < gate:
                    stranger[column] = False
                    gain[person, column] = scores[joint, rank] * np.exp(-misfit / 4)
        if people > 0 and len(ranks) > 0:
            chosen = assign(gain)
            for person in range(people):
                column = chosen[person]
                if column >= 0 and gain[person, column] > 0:
                    total += gain[person, column]
                    _add(
                        person, joint, ranks[column], np.isnan(places[person, 0, 0]), members,
                        tag, center, size, weights, scores, tags, centers, sizes,
                    )  # fmt: skip
        for column, rank in enumerate(ranks):
            if stranger[column] and scores[joint, rank] >= founder_score:
                _add(
                    people, joint, rank, True, members,
                    tag, center, size, weights, scores, tags, centers, sizes,
                )  # fmt: skip
                people += 1

    filled = np.full((people, kinds), -1, dtype=np.int64)
    for joint in range(kinds):
        weak = _at_least(scores, joint, fill_score)
        taken = np.zeros(count, dtype=np.bool_)
        for person in range(people):
            if members[person, joint] >= 0:
                taken[members[person, joint]] = True
        for person in range(people):
            where = places[person, joint]
            if members[person, joint] >= 0 or np.isnan(where[0]):
                continue
            nearest = fill_reach * size[person]
            for rank in weak:
                if taken[rank]:
                    continue
                x, y = joints[joint, rank, 0] - where[0], joints[joint, rank, 1] - where[1]
                apart = np.sqrt(x * x + y * y)
                if apart < nearest:
                    misfit = _misfit(
                        tag[person], center[person], size[person], where,
                        tags[joint, rank], centers[joint, rank], joints[joint, rank], spreads,
                    )  # fmt: skip
                    if misfit < gate:
                        nearest, filled[person, joint] = apart, rank
    return members[:people].copy(), filled, total
