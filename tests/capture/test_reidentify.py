"""People who leave and come back, known by their bones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capture.people import F64, Frame
from capture.reidentify import reidentified
from tests.capture.test_track import person
from tests.scenes import gait

RATE_HZ = 30
BUILDS = (
    np.ones(5),
    np.array([1.08, 1.06, 0.97, 1.05, 1.0]),
    np.array([0.93, 0.95, 1.04, 0.92, 1]),
)


def seen(build: F64, frames: int, x: float, seed: int) -> F64:
    """(frames, 17, 3) somebody walking on the spot, joints to 10 mm."""
    phase = np.arange(frames) * 0.2
    body = gait(phase, np.ones(frames), build) + np.array([x, 0.0, 0.0])
    return body + np.random.default_rng(seed).normal(0, 0.010, body.shape)


def take(appearances: list[tuple[int, int, F64]]) -> list[Frame]:
    """A take of (name, first frame, bodies)."""
    last = max(start + len(bodies) for _, start, bodies in appearances)
    frames = []
    for number in range(last):
        people = tuple(
            replace(person(bodies[number - start]), id=name)
            for name, start, bodies in appearances
            if start <= number < start + len(bodies)
        )
        frames.append(
            Frame("rig", "", "take", number, round(number * 1e9 / RATE_HZ), "coco17", {}, people)
        )
    return frames


def test_who_comes_back_keeps_the_first_name() -> None:
    """Two leave and return in the other order, five seconds later."""
    frames = take(
        [(0, 0, seen(BUILDS[0], 90, 0, 1)), (1, 0, seen(BUILDS[1], 90, 1, 2)),
         (2, 240, seen(BUILDS[1], 90, 0, 3)), (3, 240, seen(BUILDS[0], 90, 1, 4))]
    )  # fmt: skip
    named, rejoined = reidentified(frames)
    assert {(one.old, one.new) for one in rejoined} == {(1, 2), (0, 3)}
    assert all(4.9 < one.gap_s < 5.1 for one in rejoined)
    assert sorted(p.id for p in named[-1].people) == [0, 1]
    assert [p.id for p in named[0].people] == [0, 1]


def test_a_stranger_stays_one() -> None:
    frames = take([(0, 0, seen(BUILDS[0], 90, 0, 1)), (1, 200, seen(BUILDS[2], 90, 0, 2))])
    named, rejoined = reidentified(frames)
    assert rejoined == ()
    assert named[-1].people[0].id == 1


def test_nobody_is_in_two_places() -> None:
    """The same build, but both there at once; and 90 m away a third of a second later."""
    frames = take([(0, 0, seen(BUILDS[0], 90, 0, 1)), (1, 60, seen(BUILDS[0], 90, 1, 2))])
    assert reidentified(frames)[1] == ()
    frames = take([(0, 0, seen(BUILDS[0], 90, 0, 1)), (1, 100, seen(BUILDS[0], 90, 90, 2))])
    assert reidentified(frames)[1] == ()


def test_twins_stay_open() -> None:
    frames = take(
        [(0, 0, seen(BUILDS[0], 90, 0, 1)), (1, 0, seen(BUILDS[0], 90, 1, 2)),
         (2, 240, seen(BUILDS[0], 90, 0, 3))]
    )  # fmt: skip
    assert reidentified(frames)[1] == ()


def test_a_glimpse_says_nothing() -> None:
    frames = take([(0, 0, seen(BUILDS[0], 90, 0, 1)), (1, 200, seen(BUILDS[0], 20, 0, 2))])
    assert reidentified(frames)[1] == ()
    assert reidentified([]) == ([], ())
