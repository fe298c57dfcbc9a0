"""Joint candidates of one picture become people.

Associative embedding (Newell, Huang, Deng 2017): joints are taken from the torso outwards and
each candidate joins the person whose tag is nearest, all people at once by assignment. Three
kinds of evidence are added up, each in units of its own spread:

- the tag itself,
- where a candidate believes the middle of its person to be (the centre field),
- where the person's centre, if the network has a map of them, expects the joint.

A network with tags alone is grouped by tags alone.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .candidates import Candidates
from .crowd import Crowd
from .likeness import likeness, without_repeats
from .sighting import Sighting
from .skeleton import TORSO_OUT

__all__ = ["DecodeSettings", "group"]

F64: TypeAlias = NDArray[np.float64]
Int: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How joints become people. Tuned on photos kept out of training, see docs/train.md."""

    peak_score: float = 0.1  # a weaker peak belongs to nobody, as published
    seed_score: float = 0.15  # a weaker centre is no person
    founder_score: float = 0.7  # a peak that fits nobody founds a person from here on
    lone_founder_score: float = 0.3  # the same where the network has no map of centres
    tag_spread: float = 1.0
    center_spread: float = 0.35  # over the person's size
    place_spread: float = 0.4  # over the person's size
    gate: float = 9.0  # largest misfit, that is three spreads
    least_joints: int = 3  # of a person founded on a centre
    least_joints_unseeded: int = 4
    least_score: float = 0.2  # of a person
    same_seed_likeness: float = 0.3  # two centres whose poses are more alike are one person
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
    crowd = Crowd(candidates, _distinct_seeds(candidates, settings))
    for joint in TORSO_OUT:
        _collect(crowd, joint, settings)
    people = _sightings(crowd, settings)
    people.sort(key=lambda person: -person.score)
    return without_repeats(people, settings.same_likeness)


def _distinct_seeds(candidates: Candidates, settings: DecodeSettings) -> Int:
    """Centres sure enough, without those that expect the same pose as a better one."""
    kept: list[int] = []
    poses = candidates.seed_joints_px
    for seed in np.flatnonzero(candidates.seed_scores >= settings.seed_score):
        alike = (likeness(poses[seed], poses[other]) for other in kept)
        if not any(like > settings.same_seed_likeness for like in alike):
            kept.append(int(seed))
    return np.asarray(kept, dtype=np.intp)


def _collect(crowd: Crowd, joint: int, settings: DecodeSettings) -> None:
    """Give the peaks of one joint to the people they fit best; a sure stranger is a new one."""
    scores = crowd.candidates.scores[joint]
    peaks = np.flatnonzero(scores >= settings.peak_score)
    if not len(peaks):
        return
    misfit = crowd.misfit(joint, peaks, _spreads(settings))  # (P, N)
    fits = misfit < settings.gate
    # A sure peak of a fair fit beats a weak one of a good fit: likelihood times score.
    gain = np.where(fits, scores[peaks] * np.exp(-misfit / 4), 0.0)
    people, chosen = linear_sum_assignment(gain, maximize=True)
    real = gain[people, chosen] > 0
    crowd.add(people[real], joint, peaks[chosen[real]])
    has_centers = len(crowd.candidates.seed_scores) > 0
    founds = settings.founder_score if has_centers else settings.lone_founder_score
    strangers = ~fits.any(0) & (scores[peaks] >= founds)
    crowd.found(joint, peaks[strangers])


def _spreads(settings: DecodeSettings) -> tuple[float, float, float]:
    return settings.tag_spread, settings.center_spread, settings.place_spread


def _sightings(crowd: Crowd, settings: DecodeSettings) -> list[Sighting]:
    """People with enough joints, their gaps filled."""
    joints_px, scores = crowd.joints_px(), crowd.scores()
    found = []
    for person in range(len(crowd)):
        has = scores[person] > 0
        seeded = crowd.seed_scores[person] > 0
        if has.sum() < (settings.least_joints if seeded else settings.least_joints_unseeded):
            continue
        # The mean over joints found, held down where few of the joints were found.
        score = float(scores[person][has].mean() * np.sqrt(has.mean()))
        if score < settings.least_score:
            continue
        filled_px, filled_scores = _fill(crowd, person, settings)
        found.append(
            Sighting(
                joints_px=np.where(has[:, None], joints_px[person], filled_px),
                scores=np.where(has, scores[person], filled_scores),
                score=score,
                inferred=~has & (filled_scores > 0),
            )
        )
    return found


def _fill(crowd: Crowd, person: int, settings: DecodeSettings) -> tuple[F64, F64]:
    """The joints a person lacks: a weak peak where its centre expects the joint, or that place.

    Near the person only: filling from the whole picture draws long false limbs.

    Returns:
        (J, 2) and (J,), NaN and 0 where there is nothing to fill in.
    """
    found = crowd.candidates
    expected = crowd.expected_px[person]  # (J, 2)
    seed_score = crowd.seed_scores[person]
    joints_px = np.full(expected.shape, np.nan)
    scores = np.zeros(len(expected))
    if seed_score == 0:
        return joints_px, scores
    reach = settings.fill_reach * crowd.sizes_px[person]
    trusted = _is_trusted(crowd, person, settings)
    for joint in np.flatnonzero(crowd.members[person] < 0):
        if trusted:
            joints_px[joint] = expected[joint]
            scores[joint] = settings.expected_score * seed_score
        free = found.scores[joint] >= settings.fill_score
        taken = crowd.members[:, joint]
        free[taken[taken >= 0]] = False
        peaks = np.flatnonzero(free)
        apart = np.linalg.norm(found.joints_px[joint, peaks] - expected[joint], axis=1)
        misfit = crowd.misfit(int(joint), peaks, _spreads(settings))[person]
        near = (apart < reach) & (misfit < settings.gate)
        if near.any():
            best = peaks[near][np.argmin(apart[near])]
            joints_px[joint] = found.joints_px[joint, best]
            scores[joint] = found.scores[joint, best]
    return joints_px, scores


def _is_trusted(crowd: Crowd, person: int, settings: DecodeSettings) -> bool:
    """Whether the joints found lie where the person's centre expects them."""
    has = crowd.members[person] >= 0
    if has.sum() < settings.trust_joints:
        return False
    found_px = crowd.joints_px()[person][has]
    apart = np.linalg.norm(found_px - crowd.expected_px[person][has], axis=1)
    return bool(np.median(apart) < settings.trust_reach * crowd.sizes_px[person])
