"""Everybody in one frame set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.camera import F64, Source, calibrated_from_frame, project
from calibration.errors import UnknownCamera
from calibration.rig import Rig
from capture.anatomy import impossible_joints, mirrored, twins
from capture.frame import people_in_frame
from capture.people import NO_ID, Prediction
from capture.track import Tracker
from models.sighting import Sighting
from tests.scenes import FLIP, Noise, detect, gait, ring_rig, stereo_rig, walkers

EXACT = Noise(pixel=0.0, missed=0.0, outliers=0.0)


def standing() -> np.ndarray:
    return gait(np.full(1, 0.4), np.full(1, 0.5), np.ones(5))[None]


def test_exact_pixels_give_the_person_back() -> None:
    rig = ring_rig(4)
    found = people_in_frame(rig, detect(rig, standing(), EXACT)[0].sightings)
    (person,) = found.people
    assert person.id == NO_ID
    assert person.positions == pytest.approx(standing()[0, 0], abs=1e-6)
    assert person.views.tolist() == [4] * 17
    assert set(person.sources) == {"triangulated"}
    assert person.reprojection_px.max() < 1e-3
    assert sorted(person.sightings) == ["cam0", "cam1", "cam2", "cam3"]
    assert found.single_view == {}


def test_frame_pixels_are_turned_into_calibrated_ones() -> None:
    """As with videos of another size than the rig was calibrated at."""
    rig = ring_rig(4)
    shrunk = replace(
        rig,
        cameras=tuple(
            replace(camera, source=Source(scale=2.0, offset_px=(30.0, -8.0)))
            for camera in rig.cameras
        ),
    )
    seen = detect(rig, standing(), EXACT)[0].sightings
    posted: dict[str, list[Sighting]] = {}
    for camera in shrunk.cameras:
        (sighting,) = seen[camera.name]
        pixels = (sighting.joints_px - [30.0, -8.0]) / 2.0
        assert calibrated_from_frame(camera, pixels) == pytest.approx(sighting.joints_px)
        posted[camera.name] = [replace(sighting, joints_px=pixels)]
    (person,) = people_in_frame(shrunk, posted).people
    assert person.positions == pytest.approx(standing()[0, 0], abs=1e-6)
    assert person.sightings["cam0"].joints_px is posted["cam0"][0].joints_px  # kept as posted


def test_missing_cameras_and_nobody() -> None:
    rig = ring_rig(4)
    seen = detect(rig, standing(), EXACT)[0].sightings
    two = {name: seen[name] for name in ("cam1", "cam2")}
    (person,) = people_in_frame(rig, two).people
    assert person.views.tolist() == [2] * 17
    assert people_in_frame(rig, {}).people == ()
    assert people_in_frame(rig, {"cam0": [], "cam3": []}).single_view == {}


def test_one_camera_keeps_its_people_in_2d() -> None:
    rig = ring_rig(4)
    seen = detect(rig, standing(), EXACT)[0].sightings
    found = people_in_frame(rig, {"cam1": seen["cam1"]})
    assert found.people == ()
    assert found.single_view == {"cam1": tuple(seen["cam1"])}


def test_unknown_camera() -> None:
    with pytest.raises(UnknownCamera, match="cam9"):
        people_in_frame(ring_rig(4), {"cam9": []})


def test_a_sighting_without_any_joint() -> None:
    rig = ring_rig(4)
    nothing = Sighting(np.full((17, 2), np.nan), np.zeros(17), 0.0, np.zeros(17, dtype=np.bool_))
    seen = detect(rig, standing(), EXACT)[0].sightings
    found = people_in_frame(rig, {**seen, "cam0": [nothing, *seen["cam0"]]})
    assert len(found.people) == 1
    assert found.single_view == {"cam0": (nothing,)}
    assert people_in_frame(rig, {"cam0": [nothing], "cam1": [nothing]}).people == ()


def test_a_joint_in_one_view_and_one_in_none() -> None:
    rig = ring_rig(4)
    seen = detect(rig, standing(), EXACT)[0].sightings
    changed = {}
    for name, (sighting,) in seen.items():
        hidden = np.isin(np.arange(17), [9] if name == "cam0" else [9, 10])
        changed[name] = [
            replace(
                sighting,
                joints_px=np.where(hidden[:, None], np.nan, sighting.joints_px),
                scores=np.where(hidden, 0.0, sighting.scores),
            )
        ]
    (person,) = people_in_frame(rig, changed).people
    assert person.sources[9] == "unseen"
    assert person.sources[10] == "single_view"
    assert np.isnan(person.positions[[9, 10]]).all()
    assert person.scores[[9, 10]].tolist() == [0, 0]
    assert person.views[[9, 10]].tolist() == [0, 0]


def test_stereo_pair() -> None:
    rig = stereo_rig()
    seen = detect(rig, standing(), Noise(pixel=1.0, missed=0.0, outliers=0.0))[0].sightings
    (person,) = people_in_frame(rig, seen).people
    # One pixel at 4 m, 1400 px and a 0.6 m base: 4^2 / (1400 * 0.6) * sqrt(2) = 27 mm in depth.
    off = np.linalg.norm(person.positions - standing()[0, 0], axis=1)
    assert np.nanmedian(off) < 0.03


@pytest.mark.parametrize("camera", ["cam0", "cam1", "cam2", "cam3"])
def test_a_view_with_swapped_sides_is_put_right(camera: str) -> None:
    rig = ring_rig(4)
    truth = walkers(1, 0.1, seed=6)[:1]
    seen = detect(rig, truth, Noise(missed=0.0, outliers=0.0))[0].sightings
    (sighting,) = seen[camera]
    flip = list(FLIP)
    swapped = replace(sighting, joints_px=sighting.joints_px[flip], scores=sighting.scores[flip])
    (person,) = people_in_frame(rig, {**seen, camera: [swapped]}).people
    assert person.views[5:].min() == 4  # the swapped view counts again
    assert np.linalg.norm(person.positions - truth[0, 0], axis=1).max() < 0.05
    assert person.sightings[camera] is swapped  # what the detector said is kept as it said it


def test_two_views_against_two_are_settled_by_the_track() -> None:
    """Two views that swap agree among themselves: without a track they are a second person."""
    rig = ring_rig(4)
    truth = walkers(1, 0.1, seed=6)[:1]
    seen = detect(rig, truth, Noise(missed=0.0, outliers=0.0))[0].sightings
    flip = list(FLIP)
    for name in ("cam0", "cam2"):
        (s,) = seen[name]
        seen[name] = [replace(s, joints_px=s.joints_px[flip], scores=s.scores[flip])]
    track = Prediction(5, truth[0, 0] + 0.02, np.full(17, 0.03))
    (person,) = people_in_frame(rig, seen, predicted=[track]).people
    assert len(person.sightings) == 4
    assert np.nanmax(np.linalg.norm(person.positions[5:] - truth[0, 0, 5:], axis=1)) < 0.05


def test_swaps_are_found_and_nothing_else_is() -> None:
    """At least 90 % of swapped sightings put right, at most 0.5 % of the others touched."""
    rig, truth = ring_rig(4), walkers(3, 20.0, 10, seed=7)
    tracker = Tracker()
    clean = detect(rig, truth, Noise(), seed=8)
    rng = np.random.default_rng(9)
    right = wrong = swaps = others = 0
    flip = list(FLIP)
    for frame, seen in enumerate(clean):
        posted, was = {}, {}
        for name, sightings in seen.sightings.items():
            posted[name] = []
            for sighting in sightings:
                swap = bool(rng.random() < 0.05)
                row = replace(
                    sighting, joints_px=sighting.joints_px[flip], scores=sighting.scores[flip]
                )
                posted[name].append(row if swap else sighting)
                was[id(posted[name][-1])] = swap
        found = people_in_frame(rig, posted, predicted=tracker.predict(frame * 10**8))
        for person in tracker.update(found.people, frame * 10**8):
            for name, sighting in person.sightings.items():
                shown = _shown(rig, name, person.positions)
                own, other = (
                    np.nanmedian(np.linalg.norm(pixels - shown, axis=1))
                    for pixels in (sighting.joints_px, sighting.joints_px[flip])
                )
                treated_as_swapped = other < own
                if was[id(sighting)]:
                    swaps += 1
                    right += treated_as_swapped
                else:
                    others += 1
                    wrong += treated_as_swapped
    assert swaps > 80
    assert right >= 0.9 * swaps
    assert wrong <= 0.005 * others


def _shown(rig: Rig, name: str, positions: F64) -> F64:
    return project(rig.camera(name), positions)


def test_bystanders_do_not_pull_on_the_subject() -> None:
    """A second person whom only two of the four cameras see gets a place of their own."""
    rig = ring_rig(4)
    subject, other = standing(), standing() + np.array([2.0, 1.4, 0])
    seen = detect(rig, subject, EXACT)[0].sightings
    beside = detect(rig, other, EXACT)[0].sightings
    for name in ("cam1", "cam2"):
        seen[name] = [*beside[name], *seen[name]]
    found = people_in_frame(rig, seen, prior=None)  # where the views alone put them
    assert len(found.people) == 2
    for person in found.people:
        truth = subject if len(person.sightings) == 4 else other
        assert np.nanmax(np.abs(person.positions - truth[0, 0])) < 1e-5


def test_a_track_overrules_two_views_that_agree_on_nonsense() -> None:
    rig = ring_rig(4)
    seen = detect(rig, standing(), EXACT)[0].sightings
    two = {name: list(seen[name]) for name in ("cam0", "cam1")}
    # Move the wrist a quarter of a metre in the world, and its pixels with it: the views agree.
    truth = standing()[0, 0].copy()
    moved = truth.copy()
    moved[9] += [0.15, 0.15, 0.15]
    for name in two:
        pixels = two[name][0].joints_px.copy()
        pixels[9] = _shown(rig, name, moved[9:10])[0]
        two[name] = [replace(two[name][0], joints_px=pixels)]
    track = Prediction(0, truth, np.full(17, 0.01))
    (person,) = people_in_frame(rig, two, predicted=[track]).people
    assert person.sources[9] == "rejected"
    assert np.isnan(person.positions[9]).all()
    assert sum(source == "triangulated" for source in person.sources) == 16


def test_impossible_bones_blame_the_worse_known_end() -> None:
    body = standing()[0].copy()
    body[0, 9] += [0.5, 0.0, 0.4]  # a forearm of 0.9 m
    sigma, views = np.full((1, 17), 0.01), np.full((1, 17), 4)
    views[0, 9] = 2
    assert np.flatnonzero(impossible_joints(body, sigma, views)[0]).tolist() == [9]
    assert not impossible_joints(standing()[0], sigma, views).any()


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.3])
def test_small_and_large_people_are_possible(scale: float) -> None:
    body = walkers(3, 2.0, seed=1).reshape(-1, 17, 3) * scale
    shape = body.shape[:2]
    assert not impossible_joints(body, np.full(shape, 0.01), np.full(shape, 3)).any()


def test_twins_are_bodies_in_one_place_whichever_side_is_left() -> None:
    body = standing()[0, 0]
    assert twins(np.stack([body, mirrored(body)])) == [(0, 1, False)]
    assert twins(np.stack([body, body + 0.02])) == [(0, 1, True)]
    assert twins(np.stack([body, body + 0.2])) == []
    assert twins(body[None]) == []
