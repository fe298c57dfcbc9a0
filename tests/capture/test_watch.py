"""A capture watching itself: cameras that are pushed, bones, residuals, latency."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from calibration.rig import Rig
from capture.anatomy import BONES
from capture.errors import BadResult
from capture.frame import people_in_frame
from capture.track import Tracker
from capture.watch import Watch, WatchSettings, bone_lengths, view_residuals
from tests.scenes import Noise, detect, ring_rig, walkers

RATE_HZ = 10.0
STEP_NS = round(1e9 / RATE_HZ)
NOISE = Noise(pixel=3.0, missed=0.1, outliers=0.02)


def watched(rig: Rig, seconds: float, *, turned_at_s: float | None = None) -> Watch:
    """A crowd of two; cam1 is turned by 1.5 degrees while the rig file stays as it was."""
    truth = walkers(2, seconds, RATE_HZ, seed=3)
    seen = detect(rig, truth, NOISE, seed=4)
    if turned_at_s is not None:
        start = round(turned_at_s * RATE_HZ)
        angle = np.deg2rad(1.5)
        turn = np.eye(4)
        turn[:3, :3] = [
            [np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)],
        ]  # fmt: skip
        cameras = [
            replace(one, cam_from_world=turn @ one.cam_from_world) if one.name == "cam1" else one
            for one in rig.cameras
        ]
        moved = replace(rig, cameras=tuple(cameras))
        seen[start:] = detect(moved, truth[start:], NOISE, seed=5)
    watch, tracker = Watch(rig), Tracker()
    for frame, views in enumerate(seen):
        now = frame * STEP_NS
        found = people_in_frame(rig, views.sightings, None, tracker.predict(now))
        watch.update(tracker.update(found.people, now), now, {"network": 10.0 + frame % 5})
    return watch


def test_a_camera_that_was_turned_is_named_and_no_other_first() -> None:
    watch = watched(ring_rig(4), 42.0, turned_at_s=25.0)
    drifts = watch.drifting()
    assert drifts[0].camera == "cam1"
    assert drifts[0].recent_px > 1.3 * drifts[0].usual_px
    assert "cam1" in drifts[0].message()
    assert "check-rig" in drifts[0].message()


def test_cameras_that_stand_still_are_left_in_peace() -> None:
    watch = watched(ring_rig(4), 40.0)
    assert watch.drifting() == ()
    # 3 px an axis against points from four views: Rayleigh's median 1.18 * 3 px, less what the
    # points give way, (2 * 4 - 3) / (2 * 4) of the variance; more where fewer views see a joint.
    for residual in watch.residual_px().values():
        assert residual == pytest.approx(1.18 * 3 * np.sqrt(5 / 8), rel=0.15)
    assert watch.latency_ms() == pytest.approx(12.0, abs=0.5)


def test_bones_are_learnt() -> None:
    rig = ring_rig(4)
    watch = watched(rig, 15.0)
    truth = bone_lengths(walkers(2, 1.0, RATE_HZ, seed=3)[0])  # (people, B)
    long = np.array([length >= 0.25 for _, _, length in BONES])
    learnt = [watch.bones_m(identity) for identity in (0, 1)]
    assert watch.bones_m(9) is None
    for bones in learnt:
        assert bones is not None
        # The median over 300 frames of 10 mm noise: 1 mm, and noise across a bone lengthens it
        # by sigma^2 / length, below 1 mm.
        assert np.abs(truth[:, long] - bones[long]).max(axis=1).min() < 0.006


def test_nothing_is_said_of_a_short_past() -> None:
    watch = Watch(ring_rig(3), WatchSettings())
    for second in range(5):
        watch.update((), second * 10**9)
    assert watch.drifting() == ()
    assert np.isnan(watch.latency_ms())
    assert np.isnan(view_residuals(watch.rig, ())).all()


def test_a_watch_that_was_saved_goes_on_as_if_it_had_not_been() -> None:
    rig = ring_rig(4)
    truth = walkers(2, 12.0, RATE_HZ, seed=3)
    seen = detect(rig, truth, NOISE, seed=4)
    tracker, through, saved = Tracker(), Watch(rig), Watch(rig)
    for frame, views in enumerate(seen):
        now = frame * STEP_NS
        people = tracker.update(people_in_frame(rig, views.sightings).people, now)
        if frame == 55:  # in the middle of a second, after some
            state = json.loads(json.dumps(saved.state(), allow_nan=False))
            saved = Watch.restore(rig, None, state)
        for watch in (through, saved):
            watch.update(people, now, {"network": 10.0 + frame % 5})
    assert json.dumps(saved.state()) == json.dumps(through.state())
    assert saved.drifting() == through.drifting()
    assert saved.residual_px() == through.residual_px()


def test_a_watch_of_other_cameras_is_not_taken_over() -> None:
    state = Watch(ring_rig(4)).state()
    with pytest.raises(BadResult, match="watch anew"):
        Watch.restore(ring_rig(3), None, state)
