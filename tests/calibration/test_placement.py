"""What a planned rig is said to see and measure is what it then sees and measures."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.camera import project
from calibration.errors import BadInput
from calibration.placement import JOINT_SHARE, PERSON_M, Volume, placement, ring
from calibration.triangulate import triangulate

SIZE_PX = (1920, 1080)


def test_the_predicted_error_is_that_of_triangulated_points() -> None:
    cameras = ring(4, 4.0, 2.0, 70.0, SIZE_PX)
    told_mm = placement(cameras, Volume()).sigma_center_mm
    truth = np.array([[0.0, 0.0, 1.0]])
    clean = np.stack([project(camera, truth)[0] for camera in cameras])  # (V, 2)
    # At the middle every camera is as far away, so a joint's noise is the same in all views.
    distance = np.linalg.norm(cameras[0].center_world - truth[0])
    noise_px = JOINT_SHARE * PERSON_M * cameras[0].K[0, 0] / distance
    rng = np.random.default_rng(7)
    seen = clean[:, None] + rng.normal(scale=noise_px, size=(4, 2000, 2))
    found = triangulate(cameras, seen, np.ones(seen.shape[:2]))
    error_mm = 1000 * (found.points - truth)
    assert np.sqrt(np.nanmean(error_mm**2)) == pytest.approx(told_mm, rel=0.05)


def test_cameras_that_look_away_are_named() -> None:
    near = ring(2, 1.0, 2.0, 70.0, SIZE_PX)
    found = placement(near, Volume(3, 3, 2))
    assert found.seen_by_two < 0.5
    assert any("add a camera" in finding for finding in found.findings)
    assert any(finding.startswith("cam0 sees") for finding in found.findings)


def test_more_cameras_see_more_and_measure_better() -> None:
    few, many = (placement(ring(n, 4.0, 2.0, 70.0, SIZE_PX), Volume()) for n in (2, 8))
    assert many.seen_by_two >= few.seen_by_two
    assert many.sigma_mm[0] < few.sigma_mm[0]
    assert many.seen_by_three > few.seen_by_three == 0.0


def test_a_small_picture_makes_people_too_small() -> None:
    found = placement(ring(4, 8.0, 2.0, 90.0, (640, 360)), Volume())
    assert found.person_px[0] < 120
    assert any("px tall" in finding for finding in found.findings)


def test_opposite_cameras_say_nothing_of_depth() -> None:
    front, *_ = ring(4, 4.0, 1.0, 70.0, SIZE_PX)
    back = ring(4, 4.0, 1.0, 70.0, SIZE_PX)[2]
    found = placement((front, back), Volume())
    assert any("60 to 120 degrees" in finding for finding in found.findings)


@pytest.mark.parametrize("bad", [(1, 4, 2, 70), (4, 0, 2, 70), (4, 4, 2, 179), (17, 4, 2, 70)])
def test_an_impossible_ring_is_refused(bad: tuple[int, float, float, float]) -> None:
    with pytest.raises(BadInput, match="2 to 16 cameras"):
        ring(*bad, SIZE_PX)
