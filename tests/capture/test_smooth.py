"""Low-passing takes, and live."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.camera import F64
from capture.people import Frame, Person
from capture.smooth import OneEuro, SmoothSettings, smooth_series, smooth_take
from tests.capture.test_track import person

RATE_HZ = 100.0


def wave(frequency_hz: float, seconds: float = 4.0) -> F64:
    """(F, 1, 3) a joint that swings 0.1 m along x."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    series = np.zeros((len(time), 1, 3))
    series[:, 0, 0] = 0.1 * np.sin(2 * np.pi * frequency_hz * time)
    return series


def take(series: F64, rate_hz: float = RATE_HZ, ids: tuple[int, ...] = (3,)) -> list[Frame]:
    """One frame per row of (F, P, 17, 3)."""
    return [
        Frame(
            rig="r", calibration="", capture="c", sequence=number,
            timestamp_ns=round(number * 1e9 / rate_hz), skeleton="coco17", model={},
            people=tuple(
                replace(person(body), id=i) for i, body in zip(ids, bodies, strict=True)
                if np.isfinite(body).any()
            ),
        )
        for number, bodies in enumerate(series)
    ]  # fmt: skip


def bodies(joint: F64) -> F64:
    """(F, 1, 17, 3) a person all of whose joints do the same."""
    return np.repeat(joint[:, None], 17, axis=2)


def middle(series: F64) -> F64:
    return series[len(series) // 4 : -len(series) // 4, 0, 0]


@pytest.mark.parametrize(("frequency_hz", "gain"), [(0.5, 1.0), (6.0, 2**-0.5), (30.0, 0.0)])
def test_what_passes_and_what_does_not(frequency_hz: float, gain: float) -> None:
    """-3 dB at the cutoff; order 4 in all: (1 + (0.5 / 6.0)^4)^-1 = 1.0000 at 0.5 Hz."""
    series = wave(frequency_hz)
    smooth, _ = smooth_series(series, RATE_HZ, SmoothSettings(cutoff_hz=6.0))
    ratio = middle(smooth).std() / middle(series).std()
    assert ratio == pytest.approx(gain, abs=0.01)


def test_no_delay() -> None:
    series = wave(2.0)
    smooth, _ = smooth_series(series, RATE_HZ, SmoothSettings())
    before, after = middle(series), middle(smooth)
    assert np.correlate(before, after, "full").argmax() == len(before) - 1


def test_a_gap_stays_a_gap_and_does_not_bleed() -> None:
    series = wave(1.0)
    series[150:180] = np.nan
    series[180:] += 5.0  # another world after the gap: a filter across it would ring
    smooth, bridged = smooth_series(series, RATE_HZ, SmoothSettings())
    assert np.isnan(smooth[150:180]).all()
    assert not bridged.any()
    assert np.abs(smooth[:150] - series[:150]).max() < 0.01
    assert np.abs(smooth[180:] - series[180:]).max() < 0.01


def test_a_gap_is_bridged_only_when_asked_and_only_if_short() -> None:
    series = wave(1.0)
    series[100:110], series[200:230], series[:5], series[-5:] = (np.nan,) * 4
    smooth, bridged = smooth_series(series, RATE_HZ, SmoothSettings(max_gap_s=0.1))
    assert np.flatnonzero(bridged[:, 0]).tolist() == list(range(100, 110))
    assert np.isnan(smooth[200:230]).all()
    assert np.isnan(smooth[:5]).all()
    # Straight across 0.1 s of a 1 Hz swing of 0.1 m: off by a (pi f T)^2 / 2 = 5 mm at most.
    assert np.abs(smooth[100:110] - wave(1.0)[100:110]).max() < 0.006


def test_bridged_joints_are_marked() -> None:
    joint = wave(1.0)
    series = bodies(joint)
    series[100:105, 0, 9] = np.nan
    frames = smooth_take(take(series), RATE_HZ, SmoothSettings(max_gap_s=0.1))
    assert [frames[n].people[0].sources[9] for n in (99, 100, 104, 105)] == [
        "triangulated", "predicted", "predicted", "triangulated",
    ]  # fmt: skip
    assert np.isfinite(frames[102].people[0].positions[9]).all()
    unasked = smooth_take(take(series), RATE_HZ)
    assert unasked[102].people[0].sources[9] == "unseen"
    assert np.isnan(unasked[102].people[0].positions[9]).all()


def test_people_are_smoothed_apart_and_keep_their_places() -> None:
    series = np.concatenate([bodies(wave(1.0)), bodies(wave(1.0)) + 3.0], axis=1)
    frames = take(series, ids=(7, 2))
    frames[50] = replace(frames[50], people=frames[50].people[::-1])
    result = smooth_take(frames, RATE_HZ)
    for number, frame in enumerate(result):
        ids = [p.id for p in frame.people]
        assert ids == ([2, 7] if number == 50 else [7, 2])
        for p in frame.people:
            own = series[number, 0 if p.id == 7 else 1]
            assert np.abs(p.positions - own).max() < 0.01


def test_dropped_frames_are_gaps_in_time() -> None:
    frames = take(bodies(wave(1.0)))
    kept = frames[:200] + frames[230:]
    result = smooth_take(kept, RATE_HZ)
    assert len(result) == len(kept)
    off = [np.abs(a.people[0].positions - b.people[0].positions).max()
           for a, b in zip(kept, result, strict=True)]  # fmt: skip
    assert max(off) < 0.01


def test_too_short_or_too_slow_to_filter_is_left_as_it_is() -> None:
    series = wave(1.0)[:3]
    assert (smooth_series(series, RATE_HZ, SmoothSettings())[0] == series).all()
    slow = wave(1.0)
    assert (smooth_series(slow, 10.0, SmoothSettings(cutoff_hz=6.0))[0] == slow).all()
    assert smooth_take([], RATE_HZ) == []


def test_the_given_frames_are_not_changed() -> None:
    frames = take(bodies(wave(8.0)))
    before = frames[50].people[0].positions.copy()
    smooth_take(frames, RATE_HZ)
    assert (frames[50].people[0].positions == before).all()


def jittery(seed: int, speed_m_s: float) -> tuple[F64, list[Person]]:
    """A second of 30 Hz: the truth (F, 17, 3), and people with 10 mm of noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(60) / 30
    truth = np.zeros((60, 17, 3))
    truth[:, :, 0] = (speed_m_s * time)[:, None]
    return truth, [replace(person(row + rng.normal(0, 0.01, row.shape)), id=1) for row in truth]


def test_one_euro_is_steady_at_rest() -> None:
    truth, people = jittery(1, 0.0)
    live = OneEuro()
    out = [live.update([p], round(n * 1e9 / 30))[0] for n, p in enumerate(people)]
    still = np.array([p.positions for p in out[20:]]) - truth[20:]
    assert still.std() < 0.6 * 0.01


def test_one_euro_follows_quick_motion() -> None:
    truth, people = jittery(2, 2.0)
    live = OneEuro()
    out = [live.update([p], round(n * 1e9 / 30))[0] for n, p in enumerate(people)]
    lag_m = (truth[30:] - np.array([p.positions for p in out[30:]]))[..., 0].mean()
    # At 2 m/s the cutoff is 1.5 + 2 * 2 = 5.5 Hz: a delay of 1 / (2 pi 5.5) = 29 ms, 58 mm.
    assert lag_m < 0.06


def test_one_euro_keeps_missing_missing_and_starts_anew() -> None:
    _, people = jittery(3, 0.0)
    live = OneEuro()
    live.update([people[0]], 0)
    hidden = people[1].positions.copy()
    hidden[9] = np.nan
    (out,) = live.update([replace(people[1], positions=hidden)], 33_000_000)
    assert np.isnan(out.positions[9]).all()
    far = replace(people[2], positions=people[2].positions + 4.0)
    (again,) = live.update([far], 5 * 10**9)
    assert (again.positions == far.positions).all()
