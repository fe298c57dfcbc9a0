"""Pictures: what must be in them, and what must not break them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from capture.draw import contact_sheet, draw_scene, draw_sightings, frame_sheet
from capture.frame import people_in_frame
from capture.paint import LEFT, PAPER, RIGHT, faded, id_color
from capture.people import NO_ID, Frame
from models.sighting import Sighting
from tests.scenes import Noise, detect, ring_rig, walkers

RIG = ring_rig(4)
TRUTH = walkers(2, 0.1, seed=2)
SEEN = detect(RIG, TRUTH, Noise(missed=0.05, outliers=0.0))[0].sightings
BLANK = np.full((1080, 1920, 3), 90, dtype=np.uint8)


def has_color(image: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((image == np.array(color, dtype=np.uint8)).all(axis=2).any())


def test_left_is_warm_and_right_is_cool() -> None:
    picture = draw_sightings(BLANK, SEEN["cam0"], [0, 1])
    assert picture.shape == BLANK.shape
    assert has_color(picture, LEFT)
    assert has_color(picture, RIGHT)
    assert has_color(picture, id_color(0))
    assert has_color(picture, id_color(1))
    assert (BLANK == 90).all()  # a copy is drawn on


def test_the_skeleton_lies_on_its_joints() -> None:
    picture = draw_sightings(BLANK, SEEN["cam0"][:1])
    for joint, (x, y) in enumerate(SEEN["cam0"][0].joints_px):
        if np.isfinite(x):
            assert (picture[round(y), round(x)] != 90).any(), joint


def test_people_without_an_identity_are_faded_among_those_with_one() -> None:
    picture = draw_sightings(BLANK, SEEN["cam0"][:1], [NO_ID])
    assert not has_color(picture, LEFT)
    assert has_color(picture, faded(LEFT))


def test_nobody_changes_nothing() -> None:
    assert (draw_sightings(BLANK, []) == BLANK).all()


def test_missing_and_far_away_joints_are_not_drawn() -> None:
    joints = np.full((17, 2), np.nan)
    joints[5], joints[7] = [500, 500], [1e9, -1e9]  # overflows a 32-bit pixel if drawn
    sighting = Sighting(joints, np.ones(17), 1.0, np.zeros(17, dtype=np.bool_))
    picture = draw_sightings(BLANK, [sighting], [4])
    assert has_color(picture, LEFT)
    nothing = Sighting(np.full((17, 2), np.nan), np.zeros(17), 0.0, np.zeros(17, dtype=np.bool_))
    assert (draw_sightings(BLANK, [nothing], [4]) == BLANK).all()


def test_small_pictures() -> None:
    assert draw_sightings(BLANK[:8, :8], SEEN["cam0"], [0, 1]).shape == (8, 8, 3)


def test_the_scene_shows_people_cameras_and_floor() -> None:
    people = people_in_frame(RIG, SEEN).people
    people = tuple(replace(person, id=n) for n, person in enumerate(people))
    full = draw_scene(people, RIG.cameras, (640, 480))
    empty = draw_scene((), RIG.cameras, (640, 480))
    assert full.shape == empty.shape == (480, 640, 3)
    assert has_color(full, LEFT)
    assert not has_color(empty, LEFT)
    assert has_color(full, id_color(0))


@pytest.mark.parametrize("people", [0, 1])
def test_a_scene_without_cameras_or_with_hardly_a_person(people: int) -> None:
    person = people_in_frame(RIG, SEEN).people[0]
    person.positions[1:] = np.nan
    assert draw_scene((person,) * people, (), (320, 240)).shape == (240, 320, 3)


def test_contact_sheet_places_views_and_scene() -> None:
    views = {f"cam{n}": np.full((1920, 1088, 3), 40 * n + 60, dtype=np.uint8) for n in range(4)}
    scene = np.full((540, 600, 3), 250, dtype=np.uint8)
    sheet = contact_sheet(views, scene)
    assert sheet.shape[0] == 540
    for value in (60, 100, 140, 180, 250):
        assert has_color(sheet, (value,) * 3)
    assert has_color(sheet, PAPER)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_contact_sheet_of_any_number_of_views(count: int) -> None:
    views = {f"c{n}": BLANK for n in range(count)}
    assert contact_sheet(views).ndim == 3
    assert contact_sheet(views, BLANK).shape[0] == 1080


def test_frame_sheet_labels_and_greys() -> None:
    found = people_in_frame(RIG, {**SEEN, "cam1": SEEN["cam1"] + SEEN["cam2"][:1]})
    frame = Frame(
        rig="ring4", calibration="", capture="", sequence=0, timestamp_ns=0, skeleton="coco17",
        model={}, single_view=found.single_view,
        people=tuple(replace(p, id=n) for n, p in enumerate(found.people)),
    )  # fmt: skip
    sheet = frame_sheet(dict.fromkeys(RIG.names, BLANK), frame, RIG, height=540)
    assert sheet.shape[0] == 540
    assert has_color(sheet[:, : sheet.shape[1] // 2], PAPER)
    assert id_color(NO_ID) != id_color(0)
