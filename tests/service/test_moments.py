"""Views put together by time; times in milliseconds here, cameras a, b and c."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.framing import Message
from service.moments import Moments, ViewSet

CAMERAS = ("a", "b", "c")
MS = 1_000_000


def moments(tolerance_ms: float = 10.0) -> Moments:
    return Moments(CAMERAS, round(tolerance_ms * MS))


def view(time_ms: float, *cameras: str) -> Message:
    return Message(round(time_ms * MS), None, {name: name.encode() for name in cameras})


def told(sets: list[ViewSet]) -> list[tuple[float, str]]:
    return [(one.timestamp_ns / MS, "".join(sorted(one.images))) for one in sets]


def fed(of: Moments, *views: Message, now_s: float = 0.0) -> list[tuple[float, str]]:
    ready = []
    for one in views:
        more, late = of.add(one, now_s)
        assert late == ()
        ready += told(more)
    return ready


def test_a_message_with_all_views_is_a_set_at_once() -> None:
    assert fed(moments(), view(0, *CAMERAS), view(33, *CAMERAS)) == [(0, "abc"), (33, "abc")]


def test_views_of_one_moment_are_put_together_whatever_their_order() -> None:
    assert fed(moments(), view(4, "b"), view(0, "a"), view(9, "c")) == [(0, "abc")]


def test_timestamps_of_a_set_lie_within_the_tolerance_all_of_them() -> None:
    of = moments()
    # a and b are 5 apart and c is 12 from b: c is of another set, and will not come for this one.
    assert fed(of, view(5, "a"), view(0, "b"), view(12, "c")) == [(0, "ab")]
    assert told(of.rest()) == [(12, "c")]


def test_a_set_goes_on_when_the_missing_camera_is_past_it() -> None:
    of = moments()
    assert fed(of, view(0, "a"), view(1, "b"), view(33, "a")) == []
    assert fed(of, view(34, "c")) == [(0, "ab")]
    assert fed(of, view(35, "b")) == [(33, "abc")]


def test_a_set_goes_on_when_it_has_waited_long_enough() -> None:
    of = moments()
    assert of.wait_s(0.0) is None
    assert fed(of, view(0, "a"), now_s=5.0) == []
    wait_s = of.wait_s(5.0)
    assert wait_s is not None
    assert 0.05 < wait_s < 0.5
    assert of.due(5.0 + wait_s / 2) == []
    of.paused(1.0)
    assert of.due(5.0 + wait_s) == []
    assert told(of.due(6.0 + wait_s)) == [(0, "a")]


def test_a_view_that_comes_after_its_set_is_late() -> None:
    of = moments()
    fed(of, view(0, "a", "b"))
    of.due(99.0)
    assert of.add(view(3, "c"), 99.0) == ([], ("c",))
    assert of.add(view(0, "a"), 99.0) == ([], ("a",))
    # The next frame of a camera that was in it is the next set, however close.
    assert of.add(view(8, "a"), 99.0) == ([], ())


def test_a_camera_that_died_is_waited_for_one_second_and_no_longer() -> None:
    of = moments()
    fed(of, view(0, *CAMERAS))
    waited, at_once = 0, 0
    for number in range(1, 60):
        ready, _ = of.add(view(33 * number, "a", "b"), float(number))
        at_once += len(ready)
        waited += len(of.due(number + 0.9))
    assert waited == 30  # 33 ms to 990 ms
    assert at_once == 29


def test_a_camera_that_never_sends_cannot_fill_the_memory() -> None:
    of = moments(0.0)
    ready = [one for n in range(100) for one in of.add(view(n, "a"), 0.0)[0]]
    assert len(ready) == 100 - 8
    assert len(of.rest()) == 8


@given(st.integers(0, 2**32 - 1), st.floats(0, 14), st.floats(0, 0.5))
def test_no_view_is_lost_or_shown_twice_and_sets_are_in_order(
    seed: int, jitter_ms: float, missing: float
) -> None:
    """Cameras at 30 Hz with jittered stamps, some frames missing, sent in each camera's order."""
    rng = np.random.default_rng(seed)
    of, frames = moments(14.0), 20
    kept = rng.random((3, frames)) >= missing
    stamps = 33.0 * np.arange(frames) + rng.uniform(0, jitter_ms, (3, frames))
    lags = rng.uniform(0, 30, 3)
    sent = sorted(
        (stamps[c, f] + lags[c], c, f) for c in range(3) for f in range(frames) if kept[c, f]
    )
    sets: list[ViewSet] = []
    late = 0
    for _, c, f in sent:
        ready, dropped = of.add(view(float(stamps[c, f]), CAMERAS[c]), 0.0)
        sets += ready
        late += len(dropped)
    sets += of.rest()
    assert sum(len(one.images) for one in sets) + late == kept.sum()
    times = [one.timestamp_ns for one in sets]
    assert times == sorted(times)
    assert all(one.latest_ns - one.timestamp_ns <= 14 * MS for one in sets)
    if late == 0:  # then every moment is one set
        assert len(sets) == kept.any(axis=0).sum()
