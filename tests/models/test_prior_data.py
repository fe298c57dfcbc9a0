"""Clips, bodies and the split that all learned motion is measured on."""

import numpy as np
import pytest

from models.errors import BadTrainingData
from models.skeleton import COCO17
from models.training.motion_clips import RATE_HZ, read_clips
from models.training.poses import (
    FIRST_HELD_OUT_BODY,
    body_shape,
    joints_of,
    mirrored_track,
    read_split,
    split_of,
    tracks_of,
)

from .shared import shared

BONES = ((5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16), (11, 12), (1, 3))


def test_the_split_is_by_name_and_keeps_partners_together():
    assert [split_of(name) for name in ("humanoid3d_walk", "02_01", "indian_04")] == [
        split_of(name) for name in ("humanoid3d_walk", "02_01", "indian_04")
    ]
    for number in range(1, 16):
        assert split_of(f"salsa_{number:02d}") == split_of(f"salsa_{number + 15:02d}")
    shares = [split_of(f"take {number}") for number in range(2000)]
    # One standard deviation of a share of 0.2 among 2,000 is 0.009.
    assert shares.count("held_out") / 2000 == pytest.approx(0.2, abs=0.03)
    assert shares.count("validation") / 2000 == pytest.approx(0.1, abs=0.03)


def test_bones_keep_their_length_and_bodies_differ():
    clips = read_split(shared("train/motions"), "held_out")
    names = {clip.name for clip in clips}
    assert names == {name for name in names if split_of(name) == "held_out"}
    assert {clip.source for clip in clips} >= {"cmu_amc_15hz", "cmu_bvh"}
    lengths = {}
    for track in tracks_of(clips[:3], (FIRST_HELD_OUT_BODY, FIRST_HELD_OUT_BODY + 1)):
        assert np.isfinite(track.joints).all()
        bones = np.stack([track.joints[:, a] - track.joints[:, b] for a, b in BONES], axis=1)
        length = np.linalg.norm(bones, axis=2)
        assert np.ptp(length, axis=0).max() < 1e-9
        lengths[track.body] = length[0]
    one, other = lengths.values()
    assert np.abs(one - other).max() > 0.005


def test_a_walker_walks_forward_upright():
    (clip,) = read_clips(shared("train/motions"), frozenset({"02_01"}))
    joints = joints_of(clip, body_shape(0))
    left = joints[:, 11] - joints[:, 12]
    forward = np.cross(left, [0.0, 0.0, 1.0])
    speed = np.diff(joints[:, 11:13].mean(axis=1), axis=0) * RATE_HZ
    assert ((speed * forward[:-1]).sum(axis=1) > 0).all()
    assert 0.8 < np.linalg.norm(speed, axis=1).mean() < 2.0  # m/s, a person walking
    assert (joints[:, 0, 2] > joints[:, 11, 2]).all()  # nose above the hips
    nose = joints[:, 0] - joints[:, 3:5].mean(axis=1)
    assert ((nose * forward).sum(axis=1) > 0).all()
    assert -0.1 < joints[:, 15:17, 2].min() < 0.2  # ankles near the floor
    # Knees bend backwards: the ankle lies behind the line from hip to knee.
    for hip, knee, ankle in ((11, 13, 15), (12, 14, 16)):
        thigh, shank = joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee]
        bend = np.cross(thigh, shank)
        assert ((bend * left).sum(axis=1) > -1e-3).all()


def test_the_mirror_image_twice_is_the_same():
    joints = np.random.default_rng(0).normal(size=(4, 17, 3))
    assert np.array_equal(mirrored_track(mirrored_track(joints)), joints)
    assert mirrored_track(joints)[0, 7, 1] == -joints[0, COCO17.joints.index("right_elbow"), 1]


def test_no_motion_says_what_to_give(tmp_path):
    with pytest.raises(BadTrainingData, match="DeepMimic, BVH or AMC"):
        read_clips(tmp_path)
