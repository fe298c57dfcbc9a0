"""Identities over time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibration.camera import F64
from capture.errors import BadResult
from capture.people import NO_ID, Person
from capture.track import Tracker, TrackSettings
from tests.scenes import walkers

RATE_HZ = 30
STEP_NS = 10**9 // RATE_HZ


def person(positions: F64, sigma_mm: float = 10.0) -> Person:
    seen = np.isfinite(positions[:, 0])
    return Person(
        id=NO_ID,
        score=0.9,
        positions=positions,
        sigma_mm=np.where(seen, sigma_mm, np.nan),
        scores=np.where(seen, 0.9, 0.0),
        views=np.where(seen, 4, 0),
        reprojection_px=np.where(seen, 3.0, np.nan),
        sources=tuple("triangulated" if s else "unseen" for s in seen),
    )


def at(x: float, y: float = 0.0) -> Person:
    """Somebody standing upright at a place."""
    return person(walkers(1, 1.0)[0, 0] * [0, 0, 1] + [x, y, 0])


def test_the_first_people_are_numbered_from_zero() -> None:
    tracker = Tracker()
    assert [p.id for p in tracker.update([at(0), at(2)], 0)] == [0, 1]
    assert [p.id for p in tracker.update([at(2), at(0)], STEP_NS)] == [1, 0]


def test_nobody() -> None:
    tracker = Tracker()
    assert tracker.update([], 0) == ()
    assert tracker.predict(STEP_NS) == ()
    assert tracker.update([at(0)], STEP_NS)[0].id == 0
    assert tracker.update([], 2 * STEP_NS) == ()


def test_somebody_far_away_is_somebody_else() -> None:
    tracker = Tracker()
    tracker.update([at(0)], 0)
    assert tracker.update([at(1.5)], STEP_NS)[0].id == 1


def test_ids_are_never_used_twice() -> None:
    tracker = Tracker()
    for k in range(5):
        assert tracker.update([at(0)], k * 10 * 10**9)[0].id == k  # ten seconds apart


def test_a_short_absence_keeps_the_id_and_a_long_one_does_not() -> None:
    tracker = Tracker()
    for frame in range(10):
        tracker.update([at(0.02 * frame)], frame * STEP_NS)
    assert tracker.update([at(0.6)], 40 * STEP_NS)[0].id == 0  # 1 s later, 0.4 m on
    assert tracker.update([at(0.6)], 40 * STEP_NS + 3 * 10**9)[0].id == 1


def test_a_chance_person_is_forgotten_soon() -> None:
    tracker = Tracker()
    tracker.update([at(0)], 0)
    assert tracker.update([at(0)], 10**9)[0].id == 1  # seen once, a second ago: not the same


def test_crossing_people_keep_their_ids() -> None:
    """Two people walk through each other at 1.2 m/s, 10 cm apart at the closest."""
    tracker = Tracker()
    for frame in range(90):
        x = 1.2 * (frame / RATE_HZ - 1.5)
        names = [p.id for p in tracker.update([at(x, 0.05), at(-x, -0.05)], frame * STEP_NS)]
        assert names == [0, 1]


def test_hidden_for_the_crossing_itself() -> None:
    tracker = Tracker()
    for frame in range(90):
        x = 1.2 * (frame / RATE_HZ - 1.5)
        people = [] if 40 <= frame < 50 else [at(x, 0.05), at(-x, -0.05)]
        names = [p.id for p in tracker.update(people, frame * STEP_NS)]
        assert names == ([] if 40 <= frame < 50 else [0, 1])


def test_prediction_runs_ahead() -> None:
    tracker = Tracker()
    for frame in range(30):
        tracker.update([at(1.0 * frame / RATE_HZ)], frame * STEP_NS)
    (ahead,) = tracker.predict(34 * STEP_NS)
    # 5 frames past the last one at 1 m/s; the filter's lag on a steady walk is gone by then.
    expected = at(34 / RATE_HZ).positions
    assert np.abs(ahead.positions - expected).max() < 0.01
    (later,) = tracker.predict(40 * STEP_NS)
    assert (later.sigma_m > ahead.sigma_m).all()


def test_a_joint_that_is_missing_goes_with_the_body() -> None:
    tracker = Tracker()
    for frame in range(40):
        whole = at(1.0 * frame / RATE_HZ)
        if frame >= 20:
            whole.positions[9] = np.nan
        tracker.update([person(whole.positions)], frame * STEP_NS)
    (ahead,) = tracker.predict(40 * STEP_NS)
    assert ahead.positions[9] == pytest.approx(at(40 / RATE_HZ).positions[9], abs=0.1)


def test_a_joint_never_seen_is_expected_nowhere() -> None:
    body = at(0).positions
    body[9] = np.nan
    tracker = Tracker()
    tracker.update([person(body)], 0)
    (ahead,) = tracker.predict(STEP_NS)
    assert np.isnan(ahead.positions[9]).all()
    assert tracker.update([at(0)], STEP_NS)[0].id == 0
    assert np.isfinite(tracker.predict(2 * STEP_NS)[0].positions).all()


def test_no_joint_in_common() -> None:
    low, high = at(0).positions, at(0).positions
    low[:9], high[9:] = np.nan, np.nan
    tracker = Tracker()
    tracker.update([person(low)], 0)
    assert tracker.update([person(high)], STEP_NS)[0].id == 1  # the middles are 0.9 m apart


def test_time_does_not_run_backwards() -> None:
    tracker = Tracker()
    tracker.update([at(0)], 10 * STEP_NS)
    assert tracker.update([at(0.01)], 9 * STEP_NS)[0].id == 0


def test_state_goes_through_json_and_goes_on() -> None:
    truth = walkers(3, 4.0, RATE_HZ, seed=2)
    one, other = Tracker(), Tracker()
    for frame in range(60):
        people = [person(body) for body in truth[frame]]
        one.update(people, frame * STEP_NS)
        other.update(people, frame * STEP_NS)
        state = json.loads(json.dumps(other.state(), allow_nan=False))
        other = Tracker.restore(TrackSettings(), state)
    assert len(json.dumps(one.state())) < 3 * 6000  # a few kB each
    for a, b in zip(one.predict(61 * STEP_NS), other.predict(61 * STEP_NS), strict=True):
        assert a.id == b.id
        assert b.positions == pytest.approx(a.positions, abs=1e-4)  # rounded to um, 60 times
    later = [person(body) for body in truth[70]]
    assert [p.id for p in one.update(later, 70 * STEP_NS)] == [0, 1, 2]
    assert [p.id for p in other.update(later, 70 * STEP_NS)] == [0, 1, 2]


def test_state_keeps_the_numbering() -> None:
    tracker = Tracker()
    tracker.update([at(0), at(3)], 0)
    restored = Tracker.restore(None, tracker.state())
    assert restored.update([at(0), at(3), at(6)], STEP_NS)[2].id == 2


@pytest.mark.parametrize(
    "state",
    [{}, {"format": "quadglass-tracks/9"}, {"format": "quadglass-tracks/1", "next_id": 1},
     {"format": "quadglass-tracks/1", "next_id": 1, "tracks": [{"id": 1}]}],
)  # fmt: skip
def test_a_state_that_is_none_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(BadResult, match="tracker's state"):
        Tracker.restore(None, state)
