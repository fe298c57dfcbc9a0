from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.board import Board, Detection, check_board_for_rig, detect, parse_board
from calibration.board_grid import refine
from calibration.calibrate import calibrate_views
from calibration.camera import F64, Camera, project
from calibration.errors import BadBoard
from calibration.footage import Clip, Footage
from calibration.transforms import transform
from calibration.views import Sightings

from .boards import board_moments, facing, look_at, make_world, render
from .shared_data import shared


def _camera() -> Camera:
    K = np.array([[1400.0, 0, 960], [0, 1400, 540], [0, 0, 1]])
    pose = look_at(np.array([-3.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    return Camera("a", (1920, 1080), K, np.zeros(5), pose)


def _truth(camera: Camera, board: Board, world_from_board: F64) -> F64:
    points = board.points_board @ world_from_board[:3, :3].T + world_from_board[:3, 3]
    return project(camera, points)


@pytest.mark.parametrize(
    ("text", "kind", "inner"),
    [
        ("9x6", "chessboard", (9, 6)),
        (" 28 x 17 ", "chessboard", (28, 17)),
        ("charuco:4x5:DICT_4X4_1000", "charuco", (3, 4)),
        ("charuco:8x11:DICT_5X5_100:0.8:inverted", "charuco", (7, 10)),
    ],
)
def test_boards_that_are_understood(text: str, kind: str, inner: tuple[int, int]) -> None:
    board = parse_board(text, 25)
    assert (board.kind, board.inner_corners, board.square_m) == (kind, inner, 0.025)


@pytest.mark.parametrize("square_mm", [0.0, -25.0, float("nan"), float("inf"), 5000.0])
def test_a_square_of_no_size_is_refused(square_mm: float) -> None:
    with pytest.raises(BadBoard, match="measure the side") as caught:
        parse_board("9x6", square_mm)
    assert (caught.value.code, caught.value.field) == ("bad_board", "/square_mm")


@pytest.mark.parametrize(
    "text", ["", "9", "9x", "1x6", "2x2", "9x600", "-9x6", "9x6x3", "charuco:4x5", "charuco:4x5:X"]
)
def test_boards_that_are_not_understood(text: str) -> None:
    with pytest.raises(BadBoard) as caught:
        parse_board(text, 25)
    assert caught.value.field == "/board"


@pytest.mark.parametrize(("text", "word"), [("9x7", "odd"), ("8x6", "even")])
def test_boards_that_look_the_same_turned_by_half_are_refused_for_a_rig(
    text: str, word: str
) -> None:
    with pytest.raises(BadBoard, match=f"both {word}"):
        check_board_for_rig(parse_board(text, 25))
    check_board_for_rig(parse_board("9x6", 25))
    check_board_for_rig(parse_board("charuco:8x8:DICT_4X4_50", 25))  # its markers tell


def test_points_on_paper() -> None:
    points = parse_board("3x2", 100).points_board
    on_paper = [[0, 0], [0.1, 0], [0.2, 0], [0, 0.1], [0.1, 0.1], [0.2, 0.1]]
    np.testing.assert_allclose(points[:, :2], on_paper)
    assert not points[:, 2].any()


@pytest.mark.parametrize("turn_deg", [0, 90, 180, 270, 135])
def test_every_camera_starts_at_the_same_corner(turn_deg: int) -> None:
    """The first corner is a place on the board, however the board or the camera is turned."""
    board = parse_board("9x6", 60)
    camera = _camera()
    rng = np.random.default_rng(1)
    upright = facing(rng, board, np.array([0.0, 0.0, 1.0]), camera.center_world, 0.2)
    a = np.radians(turn_deg)
    spin = transform(
        np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]), np.zeros(3)
    )
    middle = transform(np.eye(3), board.points_board.mean(axis=0))
    back = transform(np.eye(3), -board.points_board.mean(axis=0))
    world_from_board = upright @ middle @ spin @ back
    found = detect(render(camera, board, world_from_board), board)
    assert found is not None
    np.testing.assert_array_equal(found.ids, np.arange(54))
    off = np.linalg.norm(found.corners_px - _truth(camera, board, world_from_board), axis=1)
    assert off.max() < 0.5  # another end would be 100 px away


@pytest.mark.parametrize(("square_mm", "rms_px"), [(98.0, 0.045), (28.0, 0.06)])
def test_corners_are_found_to_hundredths_of_a_pixel(square_mm: float, rms_px: float) -> None:
    """Squares of 46 and 13 px; a fixed 12 px window leaves 5.7 px on the small ones."""
    board = parse_board("9x6", square_mm)
    camera = _camera()
    errors = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        spot = np.array([0.0, rng.uniform(-0.3, 0.3), 1 + rng.uniform(-0.2, 0.2)])
        pose = facing(rng, board, spot, camera.center_world, 0.35)
        found = detect(render(camera, board, pose, seed=seed), board)
        assert found is not None, f"seed {seed}"
        off = found.corners_px - _truth(camera, board, pose)[found.ids]
        errors.append((off**2).sum(axis=1))
    assert np.sqrt(np.mean(np.concatenate(errors))) <= rms_px


def test_a_slipped_corner_is_set_back_or_not_trusted() -> None:
    board = parse_board("9x6", 80)
    camera = _camera()
    pose = facing(np.random.default_rng(0), board, np.array([0.0, 0, 1]), camera.center_world, 0.2)
    picture = render(camera, board, pose)
    truth = _truth(camera, board, pose)
    start = truth.copy()
    start[20] += [9.0, -7.0]  # within the board: found again
    start[0] += [9.0, 9.0]
    picture[int(truth[0, 1]) - 30 : int(truth[0, 1]) + 30, : int(truth[0, 0]) + 30] = 128  # covered
    fine, trusted = refine(picture, start, (9, 6))
    assert np.linalg.norm(fine[20] - truth[20]) < 0.2
    assert not trusted[0]
    assert trusted[5:].all()


def test_no_board_is_said_quickly() -> None:
    board = parse_board("9x6", 25)
    rng = np.random.default_rng(0)
    clutter = cv2.resize(
        rng.integers(0, 255, (135, 240)).astype(np.uint8), (1920, 1080),
        interpolation=cv2.INTER_NEAREST,
    )  # fmt: skip
    for picture in (np.zeros((1080, 1920), np.uint8), clutter):
        start = time.perf_counter()
        assert detect(picture, board) is None
        # Measured 0.15 to 0.4 s on clutter; the classic finder alone takes over a second.
        assert time.perf_counter() - start < 2.0


def test_all_boards_of_the_tut_frames_are_found_on_full_frames() -> None:
    folder = shared("tut-checkerboard-4cam")
    board = parse_board("28x17", 20)
    reference = json.loads((folder / "corners.json").read_text())["corners"]
    for file in sorted((folder / "images").iterdir()):
        found = detect(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), board)
        assert found is not None, file.name
        assert len(found.ids) == 476, file.name
        theirs = np.asarray(reference[file.name])
        off = min(
            np.linalg.norm(found.corners_px - order, axis=1).mean()
            for order in (theirs, theirs[::-1])
        )
        # Their window is 11 px, half a square; and the JPEGs move corners by 0.011 px.
        assert off < 0.2, file.name


def test_the_same_board_corner_comes_first_in_all_tut_cameras() -> None:
    """One motionless board: the first corner of all four cameras is the same print."""
    folder = shared("tut-checkerboard-4cam") / "images"
    board = parse_board("28x17", 20)
    firsts = []
    for camera in ("02", "07", "11", "15"):
        picture = cv2.imread(str(folder / f"Position111_Camera{camera}.jpg"), cv2.IMREAD_GRAYSCALE)
        found = detect(picture, board)
        assert found is not None
        firsts.append(found.corners_px[-1] - found.corners_px[0])
    # The cameras stand side by side upright: the diagonal points the same way in all.
    directions = np.stack(firsts) / np.linalg.norm(firsts, axis=1, keepdims=True)
    assert (directions @ directions[0] > 0.9).all()


def test_caliscopes_chessboard_frames() -> None:
    folder = shared("caliscope-4cam") / "chessboard_frames"
    board = parse_board("9x6", 25)
    for file in sorted(folder.glob("*.jpg")):
        found = detect(cv2.imread(str(file)), board)
        assert (found is None) == (file.stem == "cam_0_frame_000"), file.name


def test_charuco_from_the_front_and_from_the_mirrored_back() -> None:
    folder = shared("caliscope-4cam")
    board = parse_board("charuco:4x5:DICT_4X4_1000:0.75:inverted", 54)
    table = folder / "charuco_calibration" / "corners_detected.csv"
    rows = np.genfromtxt(table, delimiter=",", names=True)
    shown = Counter(int(row["video_frame"]) for row in rows if row["cam_id"] == 0)
    full = [frame for frame, corners in shown.items() if corners == 12][:6]
    front = _found(folder / "charuco_calibration" / "cam_0.mp4", full, board)
    assert {detection.mirrored for detection in front} == {False}
    back = _found(folder / "4_cam_recording/cam_1.mp4", list(range(6)), board)
    assert {detection.mirrored for detection in back} == {True}


@pytest.mark.parametrize("inverted", [False, True], ids=["black_on_white", "white_on_black"])
@pytest.mark.parametrize("mirrored", [False, True], ids=["front", "back"])
def test_charuco_of_every_print_is_put_right(inverted: bool, mirrored: bool) -> None:
    text = "charuco:8x6:DICT_4X4_50" + (":inverted" if inverted else "")
    board = parse_board(text, 90)
    camera = _camera()
    errors = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        spot = np.array([0.0, rng.uniform(-0.3, 0.3), 1 + rng.uniform(-0.2, 0.2)])
        pose = facing(rng, board, spot, camera.center_world, 0.35)
        picture = render(camera, board, pose, seed=seed, mirrored=mirrored)
        found = detect(picture, board)
        assert found is not None, seed
        assert found.mirrored == mirrored
        assert len(found.ids) == 35
        columns, rows = board.inner_corners
        truth = _truth(camera, board, pose).reshape(rows, columns, 2)
        truth = (truth[:, ::-1] if mirrored else truth).reshape(-1, 2)
        errors.append(((found.corners_px - truth[found.ids]) ** 2).sum(axis=1))
    # As plain boards of this size; a window that reaches the markers leaves 0.2 px, and another
    # numbering would be 40 px away.
    assert np.sqrt(np.mean(np.concatenate(errors))) <= 0.045


def test_a_mirrored_charuco_board_is_reported() -> None:
    """One camera of two looks at the back: the rig is right and says so."""
    board = parse_board("charuco:8x6:DICT_4X4_50", 90)
    world = make_world(0, moments=10, close=5, stereo=True)
    rng = np.random.default_rng(0)
    views = board_moments(rng, world.cameras, board, 12, 0.2)
    views = [replace(view, mirrored=view.camera == "right") for view in views]
    sizes = {camera.name: camera.size_px for camera in world.cameras}
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    rig = calibrate_views(Sightings(tuple(views), sizes, {}), footage, board).rig
    assert rig.verdict is not None
    told = {finding.code: finding for finding in rig.verdict.findings}
    assert told["mirrored_board"].camera == "right"


def _found(video: Path, frames: list[int], board: Board) -> list[Detection]:
    """The board in those frames, which all show it."""
    capture = cv2.VideoCapture(str(video))
    found = []
    for index in range(max(frames) + 1):
        ok, image = capture.read()
        assert ok
        if index in frames:
            detection = detect(image, board)
            assert detection is not None, f"{video.name} frame {index}"
            found.append(detection)
    capture.release()
    return found
