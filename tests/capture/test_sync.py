"""Cameras with clocks of their own, made from a crowd whose truth is known at any time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.formats import read_any
from calibration.rig import Rig
from capture.errors import BadTimestamps, NotSynchronizable, TooFewCameras
from capture.frame import people_in_frame
from capture.people import F64
from capture.reconstruct import read_streams
from capture.resample import common_moments, coverage, resampled
from capture.streams import Stream, clock_of, stream_of
from capture.sync import SyncSettings, synchronize
from capture.sync_search import coarse_offsets
from capture.sync_tracks import Clock
from tests.scenes import JOINTS, Noise, detect, ring_rig, walkers

RATE_HZ = 30.0
BALANCING = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "pose2sim-balancing"
FINE = 8  # moments of the truth per frame; linear between them, 10 m/s^2 leave 0.02 mm
NOISE = Noise(pixel=3.0, missed=0.2, outliers=0.05, false_people=0.1, missed_people=0.02)
NEAT = Noise(pixel=0.5, missed=0.0, outliers=0.0)


def truth_at(people: int, times_s: F64, seed: int) -> F64:
    """(T, people, 17, 3) the walkers at any times from -2 s on."""
    fine = RATE_HZ * FINE
    bodies = walkers(people, float(times_s.max()) + 4.0, fine, seed=seed)
    place = (times_s + 2.0) * fine
    before = np.clip(place.astype(np.int64), 0, len(bodies) - 2)
    share = (place - before)[:, None, None, None]
    return np.asarray(bodies[before] * (1 - share) + bodies[before + 1] * share)


def filmed(
    rig: Rig,
    seconds: float,
    offsets: list[float],
    *,
    ppm: tuple[float, ...] = (0.0,) * 16,
    noise: Noise = NOISE,
    people: int = 4,
    seed: int = 1,
    only: F64 | None = None,
) -> dict[str, Stream]:
    """What each camera sees; frame k is taken at k / rate + offset (frames) + drift."""
    own = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    streams = {}
    for v, camera in enumerate(rig.cameras):
        real = own * (1 + ppm[v] * 1e-6) + offsets[v] / RATE_HZ
        # Of a long take only some stretches are made; elsewhere nobody is there.
        there = np.ones(len(own), dtype=np.bool_) if only is None else (
            np.abs(own[:, None] - only).min(axis=1) < 2.0
        )  # fmt: skip
        rows = iter(detect(replace(rig, cameras=(camera,)), truth_at(people, real[there], seed),
                           noise, seed=100 * seed + v))  # fmt: skip
        seen = [next(rows).sightings[camera.name] if yes else [] for yes in there]
        streams[camera.name] = Stream(own, seen)
    return streams


def test_fractions_of_a_frame() -> None:
    """The crowd at 30 Hz: all four within a tenth of a frame, and as unsure as they say."""
    offsets = [0.0, 0.4, 9.7, -25.6]
    sync = synchronize(ring_rig(4), filmed(ring_rig(4), 10.0, offsets))
    assert sync.reference == "cam0"
    for one, truth in zip(sync.cameras, offsets, strict=True):
        assert one.offset_frames == pytest.approx(truth, abs=0.1)
        assert abs(one.offset_frames - truth) <= 4 * one.sigma_frames
        assert one.sigma_ppm is None  # ten seconds say nothing of a drift
        assert one.clock.offset_s == pytest.approx(truth / RATE_HZ, abs=0.1 / RATE_HZ)
    before, after = sync.residual_px
    assert after < before


def test_without_noise_to_a_hundredth() -> None:
    offsets = [0.0, -0.5, 3.25]
    rig = ring_rig(3)
    sync = synchronize(rig, filmed(rig, 5.0, offsets, noise=NEAT, people=1))
    for one, truth in zip(sync.cameras, offsets, strict=True):
        assert one.offset_frames == pytest.approx(truth, abs=0.02)


@pytest.mark.slow
def test_fifty_millionths_over_ten_minutes() -> None:
    """18 000 frames; 50 ppm are 0.9 frames at the end. Six stretches of two seconds tell."""
    ppm, seconds = (0.0, 50.0, -50.0, 0.0), 600.0
    rig = ring_rig(4)
    middles = 1.0 + (seconds - 2.0) * np.arange(6) / 5
    streams = filmed(rig, seconds, [0.0, 0.3, -0.4, 5.5], ppm=ppm, people=2, only=middles)
    sync = synchronize(rig, streams, SyncSettings(rounds=1, stretches=6, stretch_s=2.0))
    for one, truth in zip(sync.cameras[1:], ppm[1:], strict=False):
        assert one.sigma_ppm is not None
        assert one.sigma_ppm < 8.0
        assert one.drift_ppm == pytest.approx(truth, abs=4 * one.sigma_ppm)


def test_common_moments_bring_back_the_accuracy() -> None:
    """Half a frame apart, people at 1 m/s are 17 mm off; read at common moments they are not."""
    rig, offsets = ring_rig(4), [0.0, 0.5, -0.5, 2.25]
    streams = filmed(rig, 3.0, offsets, noise=NEAT, people=1)
    clocks = {name: Clock(off / RATE_HZ) for name, off in zip(streams, offsets, strict=True)}
    moments = common_moments(streams, clocks)
    truth = truth_at(1, moments, 1)
    errors = []
    for views, bodies in zip(resampled(streams, clocks, moments), truth, strict=True):
        for person in people_in_frame(rig, views).people:
            errors.append(np.linalg.norm(person.positions - bodies[0], axis=1))
    # 0.5 px at 5 m and f = 1400 is 2 mm per axis and view.
    assert np.nanmedian(np.array(errors)) < 0.003
    told = {one.camera: one for one in coverage(streams, clocks, moments)}
    assert all(one.frames == 90 for one in told.values())
    assert told["cam0"].used + told["cam0"].missing == len(moments)


def test_dropped_frames_are_gaps_and_other_cameras_go_on() -> None:
    rig = ring_rig(3)
    streams = filmed(rig, 2.0, [0.0, 0.0, 0.0], noise=NEAT, people=1)
    kept = [frame for frame in range(60) if frame not in (20, 21, 22)]
    whole = streams["cam1"]
    streams["cam1"] = Stream(whole.times_s[kept], [whole.people[frame] for frame in kept])
    clocks = dict.fromkeys(streams, Clock())
    moments = common_moments(streams, clocks)
    views = list(resampled(streams, clocks, moments))
    assert [m for m, v in enumerate(views) if "cam1" not in v] == [20, 21, 22]
    assert all({"cam0", "cam2"} <= set(v) for v in views)
    (lost,) = [one for one in coverage(streams, clocks, moments) if one.missing]
    assert (lost.camera, lost.frames, lost.missing) == ("cam1", 57, 3)


def test_timestamps_by_hand() -> None:
    """100 Hz, two frames dropped after the fourth."""
    clock = clock_of([0, 10_000_000, 20_000_000, 30_000_000, 60_000_000, 70_000_000])
    assert clock.numbers.tolist() == [0, 1, 2, 3, 6, 7]
    assert clock.dropped == (4, 5)
    assert clock.rate_hz == pytest.approx(100.0)
    assert clock.jitter_s == pytest.approx(0.0, abs=1e-12)


def test_timestamps_with_jitter_tell_the_rate_to_a_millionth() -> None:
    """2 ms of jitter over 10 minutes: sd of the slope is jitter * sqrt(12 / F^3) / period."""
    rng = np.random.default_rng(1)
    frames = np.delete(np.arange(18_000), rng.integers(1, 17_999, 40))
    stamps = frames / 30.0 * (1 + 50e-6) + rng.normal(0, 0.002, len(frames))
    clock = clock_of(np.round(stamps * 1e9).astype(np.int64).tolist())
    assert len(clock.dropped) == 18_000 - len(frames)
    ppm = 1e6 * (30.0 / clock.rate_hz - 1)
    assert ppm == pytest.approx(50.0, abs=4 * 1e6 * 0.002 * np.sqrt(12 / 18_000**3) * 30)
    assert clock.jitter_s == pytest.approx(0.002, rel=0.05)


def test_timestamps_that_no_clock_has() -> None:
    with pytest.raises(BadTimestamps, match="frame 2"):
        clock_of([0, 10, 5, 20])
    with pytest.raises(BadTimestamps, match="3 or more"):
        clock_of([0, 10])


@pytest.mark.skipif(not BALANCING.is_dir(), reason=f"{BALANCING} is missing")
def test_a_real_take_with_a_camera_started_seven_frames_late() -> None:
    """Known to half a frame, 8 ms, from 1.5 s of balancing, though its pictures are 10 px off."""
    rig = read_any((BALANCING / "calibration" / "Calib.qca.txt").read_bytes(), name="balancing")
    folders = {name: BALANCING / "pose2d" / name for name in rig.names}
    streams = read_streams(rig, folders, rate_hz=60.0)
    late = streams["cam03"]
    streams["cam03"] = Stream(late.times_s[:-7], late.people[7:])
    sync = synchronize(rig, streams)
    for one in sync.cameras:
        truth = 7.0 if one.camera == "cam03" else 0.0
        assert one.offset_frames == pytest.approx(truth, abs=0.5)
        assert abs(one.offset_frames - truth) <= 3 * one.sigma_frames


def test_people_who_stand_still_say_nothing() -> None:
    rig = ring_rig(3)
    streams = filmed(rig, 2.0, [0.0] * 3, noise=NEAT, people=1)
    still = {name: stream_of([s.people[0]] * 60, RATE_HZ) for name, s in streams.items()}
    with pytest.raises(NotSynchronizable, match="walk or wave"):
        coarse_offsets(rig, still)
    with pytest.raises(TooFewCameras):
        synchronize(rig, {"cam0": still["cam0"]})


def test_a_joint_seen_in_one_frame_moves_with_the_body() -> None:
    rig = ring_rig(2)
    streams = filmed(rig, 1.0, [0.0, 0.0], noise=Noise(0.0, 0.0, 0.0), people=1)
    stream = streams["cam0"]
    frames = [list(people) for people in stream.people]
    lost = frames[10][0]
    joints, scores = lost.joints_px.copy(), lost.scores.copy()
    joints[9], scores[9] = np.nan, 0.0
    frames[10][0] = replace(lost, joints_px=joints, scores=scores)
    half = np.array([stream.times_s[9] + 0.5 / RATE_HZ])
    (views,) = resampled({"cam0": Stream(stream.times_s, frames)}, {"cam0": Clock()}, half)
    (person,) = views["cam0"]
    middle = (stream.people[9][0].joints_px + stream.people[10][0].joints_px) / 2
    others = np.arange(JOINTS) != 9
    assert person.joints_px[others] == pytest.approx(middle[others])
    # A wrist swings at up to 1 m/s against the body: 1/60 s at 280 px/m is 5 px.
    assert np.abs(person.joints_px[9] - middle[9]).max() < 5.0
    assert person.inferred[9]
