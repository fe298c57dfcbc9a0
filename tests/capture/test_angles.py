"""Joint angles on bodies whose angles are set by hand."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from calibration.camera import F64
from capture.angles import ANGLES, SEGMENTS, joint_angles_deg, segment_lengths_m
from capture.export import export_take
from models.skeleton import COCO17
from tests.capture.test_export import walking
from tests.scenes import gait, ring_rig

AT = {name: number for number, name in enumerate(COCO17.joints)}


def standing() -> F64:
    """(1, 17, 3) upright, looking along +x, arms and legs straight down."""
    body = np.zeros((1, 17, 3))
    for side, y in (("left", 1.0), ("right", -1.0)):
        for name, across, z in (
            ("shoulder", 0.18, 1.4), ("elbow", 0.18, 1.1), ("wrist", 0.18, 0.85),
            ("hip", 0.1, 0.9), ("knee", 0.1, 0.48), ("ankle", 0.1, 0.06),
        ):  # fmt: skip
            body[0, AT[f"{side}_{name}"]] = [0, y * across, z]
    return body


def angle(body: F64, name: str) -> float:
    return float(joint_angles_deg(body)[0, ANGLES.index(name)])


def test_standing_is_zero() -> None:
    assert joint_angles_deg(standing()) == pytest.approx(np.zeros((1, 12)), abs=1e-5)


def test_a_raised_thigh_and_a_bent_knee() -> None:
    body = standing()
    body[0, AT["left_knee"]] = body[0, AT["left_hip"]] + [0.42, 0, 0]  # straight ahead
    body[0, AT["left_ankle"]] = body[0, AT["left_knee"]] - [0, 0, 0.42]
    assert angle(body, "left_hip_flexion") == pytest.approx(90, abs=1e-6)
    assert angle(body, "left_knee_flexion") == pytest.approx(90, abs=1e-6)
    assert angle(body, "left_hip_abduction") == pytest.approx(0, abs=1e-6)
    assert angle(body, "right_hip_flexion") == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("side", "y"), [("left", 1.0), ("right", -1.0)])
def test_arms_out_to_the_side(side: str, y: float) -> None:
    body = standing()
    out = np.array([0, y * np.sin(np.radians(60)), -np.cos(np.radians(60))])
    body[0, AT[f"{side}_elbow"]] = body[0, AT[f"{side}_shoulder"]] + 0.3 * out
    body[0, AT[f"{side}_wrist"]] = body[0, AT[f"{side}_shoulder"]] + 0.55 * out
    assert angle(body, f"{side}_shoulder_abduction") == pytest.approx(60, abs=1e-6)
    assert angle(body, f"{side}_elbow_flexion") == pytest.approx(0, abs=1e-4)


def test_backwards_is_negative_and_turning_changes_nothing() -> None:
    body = standing()
    body[0, AT["right_knee"]] = body[0, AT["right_hip"]] + [-0.2, 0, -0.3]
    before = joint_angles_deg(body)
    assert angle(body, "right_hip_flexion") == pytest.approx(-np.degrees(np.arctan2(2, 3)))
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    assert joint_angles_deg(body @ turn.T + [3, -2, 0.5]) == pytest.approx(before, abs=1e-5)


def test_a_missing_joint_leaves_out_what_needs_it() -> None:
    body = standing()
    body[0, AT["left_ankle"]] = np.nan
    missing = np.isnan(joint_angles_deg(body)[0])
    assert [name for name, gone in zip(ANGLES, missing, strict=True) if gone] == [
        "left_knee_flexion"
    ]
    lengths = dict(zip(SEGMENTS, segment_lengths_m(body)[0], strict=True))
    assert np.isnan(lengths["left_shank"])
    assert lengths["left_thigh"] == pytest.approx(0.42)
    assert lengths["shoulders"] == pytest.approx(0.36)


def test_a_walk_swings_as_it_was_made() -> None:
    """The gait swings its thighs by 0.45 rad about a trunk that leans 0.05 m in 0.5 m."""
    body = gait(np.linspace(0, 2 * np.pi, 200), np.ones(200), np.ones(5))
    angles = dict(zip(ANGLES, joint_angles_deg(body).T, strict=True))
    lean = np.degrees(np.arctan2(0.05, 0.5))
    for side in ("left", "right"):
        flexion = angles[f"{side}_hip_flexion"]
        assert flexion.max() == pytest.approx(np.degrees(0.45) + lean, abs=0.1)
        assert flexion.min() == pytest.approx(-np.degrees(0.45) + lean, abs=0.1)
        assert angles[f"{side}_knee_flexion"].max() == pytest.approx(np.degrees(0.68), abs=0.1)


def test_as_a_table() -> None:
    frames = walking(2)
    frames[3].people[0].positions[AT["left_ankle"]] = np.nan
    text = export_take(frames, ring_rig(4), "angles").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 60
    assert rows[6]["person"] == "3"
    assert rows[6]["left_knee_flexion_deg"] == ""
    assert float(rows[7]["left_knee_flexion_deg"]) > 0
    assert float(rows[7]["left_thigh_m"]) == pytest.approx(0.42, abs=0.1)
