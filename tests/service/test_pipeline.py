from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.camera import Source, project
from calibration.errors import UnknownCamera, WrongFrameSize
from capture.people import Person, Prediction
from service.decode import Picture
from service.errors import BrokenImage
from service.pipeline import (
    PipelineSettings,
    Views,
    decode_views,
    run_frame_set,
    run_pictures,
    run_views,
)

from .dots import DotPredictor, draw, jpeg, png, standing
from .world import RIG, errors_m, frame_set, person

SETTINGS = PipelineSettings()


def assert_near(found: Person, truth: NDArray[np.float64]) -> None:
    """Near the truth by what a dot of radius 3 px is worth at 5 m with f = 700 px.

    A centroid is good to 0.3 px, 2 mm. Where two dots touch, the one drawn first loses up to half
    of itself, 3 px, in one view of two or more: 20 mm.
    """
    errors = errors_m(found.positions, truth)
    assert np.isfinite(errors).all()
    assert np.median(errors) < 0.002
    assert errors.max() < 0.02


@pytest.fixture
def predictor() -> DotPredictor:
    return DotPredictor()


def test_a_person_comes_out_where_it_stands(predictor: DotPredictor) -> None:
    """In metres, with a reason for every joint, from four encoded pictures."""
    truth = person(0.2, -0.1)
    seen = run_frame_set(frame_set([truth]), RIG, predictor, SETTINGS)
    (found,) = seen.people
    assert_near(found, truth)
    assert len(found.sources) == 17
    assert seen.single_view == {}


def test_two_people_are_told_apart(predictor: DotPredictor) -> None:
    truths = [person(0.6, 0.2), person(-0.7, -0.3)]
    seen = run_frame_set(frame_set(truths), RIG, predictor, SETTINGS)
    found = sorted(seen.people, key=lambda one: -float(np.nanmean(one.positions[:, 0])))
    assert len(found) == 2
    for one, truth in zip(found, truths, strict=True):
        assert_near(one, truth)


def test_a_view_may_be_missing(predictor: DotPredictor) -> None:
    images = frame_set([person()])
    del images["cam2"]
    (found,) = run_frame_set(images, RIG, predictor, SETTINGS).people
    assert found.views.max() == 3


def test_one_view_alone_gives_people_in_2d(predictor: DotPredictor) -> None:
    images = {"cam0": frame_set([person()])["cam0"]}
    seen = run_frame_set(images, RIG, predictor, SETTINGS)
    assert seen.people == ()
    assert len(seen.single_view["cam0"]) == 1


def test_without_a_rig_people_stay_2d(predictor: DotPredictor) -> None:
    joints = standing(300, 200, 250)
    seen = run_frame_set(
        {"image": png(draw([joints], (640, 400), face_radius_px=3))}, None, predictor, SETTINGS
    )
    (found,) = seen.single_view["image"]
    assert np.abs(found.joints_px - joints).max() < 0.5
    assert seen.sizes_px == {"image": (640, 400)}


def test_joints_of_a_reduced_jpeg_are_pixels_of_the_posted_one() -> None:
    """Discs of radius 6 in a quarter of the picture have centroids good to 0.15 px, 0.6 of the
    posted ones; without the half pixel the error would be 1.5 px.
    """
    joints = standing(1000, 700, 900)
    data = jpeg(draw([joints], (1920, 1440), radius_px=24, face_radius_px=24), 100)
    for side in (1920, 900, 400):
        seen = run_frame_set({"image": data}, None, DotPredictor(side), SETTINGS)
        (found,) = seen.single_view["image"]
        assert np.nanmax(np.abs(found.joints_px - joints)) < 0.6, side


def test_frame_sets_of_one_batch_go_through_the_network_together(predictor: DotPredictor) -> None:
    truths = [person(0.5, 0.0), person(-0.5, 0.3)]
    batch = [
        decode_views(frame_set([truth]), RIG, predictor.input_side, SETTINGS) for truth in truths
    ]
    alone = decode_views({"image": png(draw([], (64, 48)))}, None, 160, SETTINGS)
    seen = run_views([*batch, alone], predictor, SETTINGS)
    assert predictor.batches == [9]
    for one, truth in zip(seen[:2], truths, strict=True):
        assert_near(one.people[0], truth)
    assert seen[2].single_view == {"image": ()}


def test_decoded_pictures_take_the_same_way(predictor: DotPredictor) -> None:
    truth = person()
    pictures = {
        camera.name: Picture(draw([project(camera, truth)], camera.size_px), camera.size_px)
        for camera in RIG.cameras
    }
    (found,) = run_pictures(pictures, RIG, predictor, SETTINGS).people
    assert_near(found, truth)


def test_a_track_is_the_third_witness_of_two_views(predictor: DotPredictor) -> None:
    """A wrist half a metre from where its track expects it is not believed from two views."""
    truth = person()
    pictures = {
        camera.name: Picture(draw([project(camera, truth)], (640, 400)), (640, 400))
        for camera in RIG.cameras[:2]
    }
    expected = truth.copy()
    expected[9, 2] += 0.5
    track = Prediction(3, expected, np.full(len(truth), 0.01))
    (alone,) = run_pictures(pictures, RIG, predictor, SETTINGS).people
    (told,) = run_pictures(pictures, RIG, predictor, SETTINGS, [track]).people
    assert alone.sources[9] == "triangulated"
    assert told.sources[9] == "rejected"
    assert told.sources[10] == "triangulated"


def test_parts_of_pictures_give_the_same_person(predictor: DotPredictor) -> None:
    truth = person(0.2, -0.1)
    pictures = {}
    for camera in RIG.cameras:
        joints = project(camera, truth)
        x, y = (joints.min(axis=0) - 10).astype(int).tolist()
        right, bottom = (joints.max(axis=0) + 11).astype(int).tolist()
        part = draw([joints], (640, 400))[y:bottom, x:right]
        pictures[camera.name] = Picture(part, (640, 400), corner_px=(x, y))
    (found,) = run_pictures(pictures, RIG, predictor, SETTINGS).people
    assert_near(found, truth)


def test_every_stage_is_timed(predictor: DotPredictor) -> None:
    timings = run_frame_set(frame_set([person()]), RIG, predictor, SETTINGS).timings_ms
    assert set(timings) == {"decode", "network", "grouping", "triangulate"}
    assert all(milliseconds > 0 for milliseconds in timings.values())


def test_a_wrong_size_names_both_and_the_way_out(predictor: DotPredictor) -> None:
    images = frame_set([person()])
    images["cam1"] = png(draw([], (630, 400)))
    with pytest.raises(WrongFrameSize) as caught:
        run_frame_set(images, RIG, predictor, SETTINGS)
    said = str(caught.value)
    for part in ("630 x 400", "640 x 400", "source.scale", "source.offset_px", "[0, 0, 630, 400]"):
        assert part in said
    assert (caught.value.camera, caught.value.field) == ("cam1", "/cam1")
    with pytest.raises(WrongFrameSize):
        run_pictures({"cam1": Picture(draw([], (630, 400)), (630, 400))}, RIG, predictor, SETTINGS)


def test_a_declared_source_takes_frames_of_its_own_size(predictor: DotPredictor) -> None:
    """Frames 320 px wide of a camera calibrated at 640: calibrated = 2 * frame + 0.5."""
    camera = RIG.cameras[1]
    source = Source(crop_xywh=(0, 0, 320, 200), scale=2.0, offset_px=(0.5, 0.5))
    rig = replace(
        RIG,
        cameras=tuple(replace(one, source=source) if one is camera else one for one in RIG.cameras),
    )
    truth = person()
    images = frame_set([truth])
    images["cam1"] = png(draw([(project(camera, truth) - 0.5) / 2], (320, 200)))
    (found,) = run_frame_set(images, rig, predictor, SETTINGS).people
    assert found.views.max() == 4
    errors = errors_m(found.positions, truth)
    assert np.median(errors) < 0.002
    assert errors.max() < 0.04  # a dot half hidden in the smaller picture costs twice as much


def test_an_unknown_camera_is_refused_before_decoding() -> None:
    with pytest.raises(UnknownCamera, match="cam9"):
        decode_views({"cam9": b"never looked at"}, RIG, 160, SETTINGS)


def test_a_broken_picture_names_its_field() -> None:
    with pytest.raises(BrokenImage) as caught:
        decode_views({"cam0": png(draw([], (640, 400)))[:200]}, RIG, 160, SETTINGS)
    assert caught.value.field == "/cam0"


def test_a_batch_of_nothing_is_nothing(predictor: DotPredictor) -> None:
    assert run_views([], predictor, SETTINGS) == []
    (seen,) = run_views([Views({}, None)], predictor, SETTINGS)
    assert seen.people == ()
