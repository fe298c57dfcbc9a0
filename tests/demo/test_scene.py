"""The rendered scene against its own truth."""

import cv2
import numpy as np
import pytest

from calibration.camera import project
from capture.people import Frame, Person
from service.demo.rendered import error_against_truth, film, studios
from service.demo.scene import (
    BOARD_CORNERS,
    BOARD_SQUARE_M,
    RATE_HZ,
    board_poses,
    people_at,
    truth_rig,
)
from service.demo.scene_pictures import picture_of_board, studio


def frame_of(bodies, sequence=0, shift=0.0):
    people = [
        Person(
            id=number,
            score=1.0,
            positions=body.joints + shift,
            sigma_mm=np.ones(17),
            scores=np.ones(17),
            views=np.full(17, 4),
            reprojection_px=np.zeros(17),
            sources=("triangulated",) * 17,
        )
        for number, body in enumerate(bodies)
    ]
    stamp = round(sequence * 1e9 / RATE_HZ)
    return Frame("rendered", "", "", sequence, stamp, "coco17", {}, tuple(people))


def test_the_board_is_where_it_is_said_to_be():
    camera = truth_rig().cameras[0]
    room = studio(camera)
    columns, rows = BOARD_CORNERS
    grid = np.array(
        [
            [x * BOARD_SQUARE_M, y * BOARD_SQUARE_M, 0, 1]
            for y in range(rows)
            for x in range(columns)
        ]
    )
    looked = 0
    for number, pose in enumerate(board_poses()[:12]):
        picture = picture_of_board(room, pose, number)
        if picture is None:
            continue
        gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        there, corners = cv2.findChessboardCorners(gray, BOARD_CORNERS)
        if not there:
            continue
        truth = project(camera, (grid @ pose.T)[:, :3])
        spacing = min(
            np.linalg.norm(truth[1] - truth[0]), np.linalg.norm(truth[columns] - truth[0])
        )
        half = int(np.clip(0.4 * spacing, 2, 11))
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-3)
        found = cv2.cornerSubPix(gray, corners, (half, half), (-1, -1), stop).reshape(-1, 2)
        if np.linalg.norm(found[0] - truth[0]) > np.linalg.norm(found[-1] - truth[0]):
            found = found[::-1]  # the finder may begin at the other end
        # cornerSubPix on clean corners of 15 to 30 px squares: 0.03 to 0.05 px; half a pixel would
        # be the old mistake of putting (0, 0) into a pixel's corner.
        assert np.sqrt(((found - truth) ** 2).sum(axis=1).mean()) < 0.15
        looked += 1
    assert looked >= 3


def test_people_stand_on_the_floor_and_keep_their_lengths():
    def bones(body):
        j = body.joints
        return [np.linalg.norm(j[a] - j[b]) for a, b in ((11, 13), (13, 15), (5, 7), (7, 9))]

    first = people_at(0.0)
    for time_s in np.linspace(0, 3, 7):
        for body, begin in zip(people_at(time_s), first, strict=True):
            assert body.joints[15:17, 2].min() == pytest.approx(0.08, abs=0.01)
            assert bones(body) == pytest.approx(bones(begin), abs=1e-9)


def test_the_film_shows_people_where_they_are():
    rooms = studios()
    (moment,) = film(rooms, 1)
    assert set(moment.images) == {camera.name for camera in truth_rig().cameras}
    for camera in truth_rig().cameras:
        picture, empty = moment.images[camera.name], rooms[camera.name].room
        for body in people_at(0.0):
            x, y = project(camera, body.joints[[5, 6, 11, 12]].mean(axis=0)[None])[0].round()
            chest = picture[int(y), int(x)].astype(int)
            assert np.abs(chest - empty[int(y), int(x)].astype(int)).max() > 20


def test_truth_itself_has_no_error():
    rig = truth_rig()
    frames = [frame_of(people_at(n / RATE_HZ), n) for n in range(3)]
    error = error_against_truth(frames, rig)
    assert error.camera_mm == pytest.approx(0, abs=1e-6)
    assert error.joint_median_mm == pytest.approx(0, abs=1e-6)
    assert (error.share_found, error.made_up) == (1.0, 0)


def test_an_offset_of_ten_millimetres_is_an_error_of_ten_millimetres():
    frames = [frame_of(people_at(0.0), shift=np.array([0.006, 0.0, -0.008]))]
    error = error_against_truth(frames, truth_rig())
    assert error.joint_mean_mm == pytest.approx(10.0)
    assert error.camera_mm == pytest.approx(0, abs=1e-6)


def test_somebody_who_is_not_there_is_made_up_and_nobody_is_not_known():
    bodies = people_at(0.0)
    away = frame_of(bodies[:1], shift=np.array([3.0, 0.0, 0.0]))
    error = error_against_truth([away], truth_rig())
    assert (error.made_up, error.share_found, error.joint_mean_mm) == (1, 0.0, None)
    nobody = error_against_truth([frame_of([])], truth_rig())
    assert (nobody.made_up, nobody.share_found, nobody.joint_median_mm) == (0, 0.0, None)
