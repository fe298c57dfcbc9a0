"""Joint candidates of one picture become people.

Associative embedding (Newell, Huang, Deng 2017): joints are taken from the torso outwards and
each candidate joins the person whose tag is nearest, all people at once by assignment. Three
kinds of evidence are added up, each in units of its own spread:

- the tag itself,
- where a candidate believes the middle of its person to be (the centre field),
- where the person's centre, if the network has a map of them, expects the joint.

A network with tags alone is grouped by tags alone. Collecting and filling are one operation,
defined in ``kernels.grouping_fast``; here is what we know of people: which centres are distinct,
how sure a person is, who was found twice.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernels.grouping_fast import GroupRules, Groups, JointPeaks, group_peaks

from .candidates import Candidates
from .likeness import first_of_each, likeness, without_repeats
from .sighting import Sighting
from .skeleton import TORSO_OUT

__all__ = ["DecodeSettings", "FillName", "group"]

F64: TypeAlias = NDArray[np.float64]
Int: TypeAlias = NDArray[np.intp]
# How a joint without a sure peak is given a place: not at all, by a weak peak where the person's
# centre expects it, or, if there is none either, where a centre that can be trusted expects it.
FillName: TypeAlias = Literal["none", "peaks", "expected"]

_TORSO = (5, 6, 11, 12)  # the centre of a person is the mean of these in training, so here too
_SMALLEST_CELLS = 2.0  # nobody is taken to be smaller: spreads would vanish
# A centre counts for as much as one sure joint when the person's own centre is averaged.
_SEED_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How joints become people. Tuned on photos kept out of training, see docs/train.md."""

    peak_score: float = 0.1  # a weaker peak belongs to nobody, as published
    seed_score: float = 0.25  # a weaker centre is no person
    founder_score: float = 0.75  # a peak that fits nobody founds a person from here on
    lone_founder_score: float = 0.3  # the same where the network has no map of centres
    tag_spread: float = 1.4
    center_spread: float = 0.45  # over the person's size
    place_spread: float = 0.26  # over the person's size
    gate: float = 9.0  # largest misfit, that is three spreads
    fill: FillName = "expected"  # filled joints are marked as inferred
    least_joints: int = 3  # of a person founded on a centre
    least_joints_unseeded: int = 4
    least_score: float = 0.25  # of a person
    same_seed_likeness: float = 0.2  # two centres whose poses are more alike are one person
    same_likeness: float = 0.5  # so are two people more alike than this
    fill_score: float = 0.03  # a peak this weak may fill a gap
    fill_reach: float = 0.15  # over the person's size, from where the joint is expected
    expected_score: float = 0.15  # of a joint placed where the centre expects it, times its own
    trust_joints: int = 8  # a centre is believed if so many joints were found
    trust_reach: float = 0.12  # and half of them lie so near to where it expects them


def group(candidates: Candidates, settings: DecodeSettings) -> list[Sighting]:
    """People of one picture, best first.

    Args:
        candidates: peaks, tags and centres.
        settings: thresholds and spreads.
    """
    seeds = _distinct_seeds(candidates, settings)
    peaks = JointPeaks(
        candidates.joints_px,
        candidates.scores,
        candidates.tags,
        candidates.centers_px,
        candidates.sizes_px,
    )
    expected = candidates.seed_joints_px[seeds]  # (S, J, 2)
    groups = group_peaks(peaks, expected, _rules(candidates, settings))
    people = _sightings(candidates, seeds, groups, settings)
    people.sort(key=lambda person: -person.score)
    return without_repeats(people, settings.same_likeness)


def _distinct_seeds(candidates: Candidates, settings: DecodeSettings) -> Int:
    """Centres sure enough, without those that expect the same pose as a better one."""
    sure = np.flatnonzero(candidates.seed_scores >= settings.seed_score)
    poses = candidates.seed_joints_px[sure]
    return sure[first_of_each(likeness(poses, poses) > settings.same_seed_likeness)]


def _rules(candidates: Candidates, settings: DecodeSettings) -> GroupRules:
    has_centers = len(candidates.seed_scores) > 0
    return GroupRules(
        order=tuple(TORSO_OUT),
        torso=_TORSO,
        peak_score=settings.peak_score,
        founder_score=settings.founder_score if has_centers else settings.lone_founder_score,
        tag_spread=settings.tag_spread,
        center_spread=settings.center_spread,
        place_spread=settings.place_spread,
        gate=settings.gate,
        seed_weight=_SEED_WEIGHT,
        smallest=_SMALLEST_CELLS * candidates.cell_px,
        fill_score=settings.fill_score,
        fill_reach=settings.fill_reach,
    )


def _sightings(
    candidates: Candidates, seeds: Int, groups: Groups, settings: DecodeSettings
) -> list[Sighting]:
    """People with enough joints; where one is missing, a weak peak or where it is expected."""
    has = groups.members >= 0  # (P, J)
    seeded = np.arange(len(has)) < len(seeds)
    least = np.where(seeded, settings.least_joints, settings.least_joints_unseeded)
    joints_px, scores = _taken(candidates, groups.members)
    # The mean over joints found, held down where few of the joints were found.
    score = scores.sum(1) / np.maximum(has.sum(1), 1) * np.sqrt(has.mean(1))
    weak_px, weak_scores = _taken(candidates, groups.filled)
    placed_px, placed_scores = _placed(candidates, seeds, joints_px, settings)
    fills = (groups.filled >= 0) & (settings.fill != "none")
    if settings.fill != "expected":
        placed_px, placed_scores = np.full_like(placed_px, np.nan), np.zeros_like(placed_scores)
    joints_px = np.where(has[..., None], joints_px, np.where(fills[..., None], weak_px, placed_px))
    scores = np.where(has, scores, np.where(fills, weak_scores, placed_scores))
    return [
        Sighting(
            joints_px=joints_px[person],
            scores=scores[person],
            score=float(score[person]),
            inferred=~has[person] & (scores[person] > 0),
        )
        for person in np.flatnonzero((has.sum(1) >= least) & (score >= settings.least_score))
    ]


def _taken(candidates: Candidates, ranks: NDArray[np.int64]) -> tuple[F64, F64]:
    """(P, J, 2) and (P, J) of the peaks of these ranks, NaN and 0 where the rank is -1."""
    joints, has, ranks = np.arange(ranks.shape[1]), ranks >= 0, np.maximum(ranks, 0)
    joints_px = np.where(has[..., None], candidates.joints_px[joints, ranks], np.nan)
    return joints_px, np.where(has, candidates.scores[joints, ranks], 0.0)


def _placed(
    candidates: Candidates, seeds: Int, joints_px: F64, settings: DecodeSettings
) -> tuple[F64, F64]:
    """Joints where a person's centre expects them, if those found lie where it expects them.

    Args:
        candidates: of the picture.
        seeds: (S,) centres of the first S people; the others have none.
        joints_px: (P, J, 2) joints found, NaN where a person has none.
        settings: how far a centre is trusted.

    Returns:
        (P, J, 2) and (P, J), NaN and 0 of people without a centre that can be trusted.
    """
    placed_px = np.full(joints_px.shape, np.nan)
    scores = np.zeros(joints_px.shape[:2])
    for person, seed in enumerate(seeds):
        expected = candidates.seed_joints_px[seed]  # (J, 2)
        apart = np.linalg.norm(joints_px[person] - expected, axis=1)
        apart = np.sort(apart[~np.isnan(apart)])
        if len(apart) < max(settings.trust_joints, 1):
            continue
        size = max(float(np.ptp(expected, axis=0).max()), _SMALLEST_CELLS * candidates.cell_px)
        median = (apart[(len(apart) - 1) // 2] + apart[len(apart) // 2]) / 2
        if median < settings.trust_reach * size:
            placed_px[person] = expected
            scores[person] = settings.expected_score * candidates.seed_scores[seed]
    return placed_px, scores
