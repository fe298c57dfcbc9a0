"""The part of each picture that holds everybody expected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.camera import Source, frame_from_calibrated, project
from capture.people import F64, Prediction
from capture.regions import Lookout, Region, RegionSettings, region_of
from tests.capture.test_track import person
from tests.scenes import gait, ring_rig

RIG = ring_rig(4, radius_m=8.0)


def standing(x: float = 0.0, y: float = 0.0) -> F64:
    return gait(np.zeros(1), np.zeros(1), np.ones(5))[0] + [x, y, 0.0]


def expected(identity: int, body: F64, sigma_m: float = 0.01) -> Prediction:
    return Prediction(identity, body, np.full(len(body), sigma_m))


def inside(region: Region, pixels: F64) -> bool:
    low = (pixels >= [region.x, region.y]).all()
    return bool(low and (pixels <= [region.x + region.width, region.y + region.height]).all())


def test_one_person_by_hand() -> None:
    """1.65 m at 8 m and f = 1400 are 290 px; with a fifth around, 400 of the picture's 1920."""
    for camera in RIG.cameras:
        region = region_of(camera, [expected(0, standing())], RegionSettings())
        assert region is not None
        assert region.height == pytest.approx(400, abs=40)
        assert inside(region, project(camera, standing()))


def test_everybody_is_in_it() -> None:
    people = [standing(-0.8, 0.3), standing(0.9, -0.5)]
    for camera in RIG.cameras:
        region = region_of(camera, [expected(k, p) for k, p in enumerate(people)], RegionSettings())
        assert region is not None
        assert all(inside(region, project(camera, body)) for body in people)
        assert region.x + region.width <= camera.size_px[0]


def test_less_sure_is_wider_and_beside_the_picture_is_all_of_it() -> None:
    camera = RIG.cameras[0]
    sure = region_of(camera, [expected(0, standing())], RegionSettings())
    unsure = region_of(camera, [expected(0, standing(), 0.1)], RegionSettings())
    assert sure is not None
    assert unsure is not None
    assert unsure.height > sure.height
    assert region_of(camera, [expected(0, standing(0, 60))], RegionSettings()) is None
    assert region_of(camera, [expected(0, np.full((17, 3), np.nan))], RegionSettings()) is None
    near = np.add(camera.center_world, [-1.0, 0.0, -1.5])
    assert region_of(camera, [expected(0, standing(near[0], near[1]))], RegionSettings()) is None


def test_frame_pixels_of_a_camera_calibrated_at_another_size() -> None:
    source = Source(crop_xywh=(0, 0, 960, 540), scale=2.0, offset_px=(0.5, 0.5))
    camera = replace(RIG.cameras[0], source=source)
    region = region_of(camera, [expected(0, standing())], RegionSettings())
    assert region is not None
    assert inside(region, frame_from_calibrated(camera, project(camera, standing())))
    assert region.x + region.width <= 960


def test_whole_pictures_at_the_start_on_a_period_and_after_a_loss() -> None:
    lookout = Lookout(RIG, RegionSettings(whole_every=5))
    track, found = [expected(0, standing())], [replace(person(standing()), id=0)]
    whole = []
    for frame in range(14):
        regions = lookout.regions([] if frame == 0 else track)
        whole.append(not regions)
        # Not seen in frames 7 to 9: one look at everything, then closer again.
        lookout.saw([] if frame == 0 else track, [] if 7 <= frame < 10 else found)
    assert [frame for frame, all_of_it in enumerate(whole) if all_of_it] == [0, 5, 8, 10]


def test_nobody_expected_is_a_look_at_everything() -> None:
    lookout = Lookout(RIG)
    for _ in range(3):
        assert lookout.regions([]) == {}
