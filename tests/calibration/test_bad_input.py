"""Twenty-five kinds of bad input: each has its own word, and a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.board import check_board_for_rig, parse_board
from calibration.calibrate import CalibrateSettings, calibrate, calibrate_views
from calibration.errors import CalibrationError
from calibration.footage import Clip, Footage
from calibration.prepare import footage_from_dir
from calibration.rig import Finding, Rig
from calibration.rig_file import rig_from_yaml, rig_to_yaml
from calibration.settings import lenses_in
from calibration.transforms import transform
from calibration.verdict import judge
from calibration.views import View, find_boards

from .boards import World, board_moments, facing, make_world, ring, see, stereo_pair
from .test_verdict import fine_evidence

BOARD = parse_board("9x6", 80)


def _findings(world: World, settings: CalibrateSettings | None = None) -> dict[str, Finding]:
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    settings = settings or CalibrateSettings()
    verdict = calibrate_views(world.sightings, footage, world.board, settings).rig.verdict
    assert verdict is not None
    return {finding.code: finding for finding in verdict.findings}


def _refusal(act: Callable[[], object]) -> CalibrationError:
    with pytest.raises(CalibrationError) as caught:
        act()
    assert len(str(caught.value)) > 30, "one word is no advice"
    return caught.value


def _changed(world: World, change: Callable[[View], View]) -> World:
    return replace(world, views=tuple(change(view) for view in world.views))


@pytest.fixture(scope="module")
def small() -> World:
    return make_world(0, moments=16, close=4)


def _pictures(root: Path, pictures: dict[str, list[np.ndarray]]) -> Footage:
    for camera, own in pictures.items():
        (root / camera).mkdir(parents=True)
        for index, picture in enumerate(own):
            cv2.imwrite(str(root / camera / f"{index}.png"), picture)
    return footage_from_dir(root)


def _flat_board(columns: int, rows: int) -> np.ndarray:
    """(360, 480) a board of so many inner corners, seen straight on."""
    tile = np.indices((rows + 1, columns + 1)).sum(axis=0) % 2
    squares = np.kron(np.where(tile, 220, 30).astype(np.uint8), np.ones((28, 28), np.uint8))
    picture = np.full((360, 480), 220, np.uint8)
    picture[40 : 40 + squares.shape[0], 60 : 60 + squares.shape[1]] = squares
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def test_1_a_turned_board(small: World) -> None:
    def turned(view: View) -> View:
        own = (view.camera, view.moment) == ("cam1", "m004")
        return replace(view, corners_px=view.corners_px[::-1].copy()) if own else view

    assert "check the board's print" in _findings(_changed(small, turned))["rejected_flipped"].fix


def test_2_a_mirrored_board(small: World) -> None:
    views = _changed(small, lambda v: replace(v, mirrored=v.camera == "cam2"))
    assert _findings(views)["mirrored_board"].camera == "cam2"


def test_3_a_wrong_square_size_shows_by_a_known_distance(small: World) -> None:
    apart = float(np.linalg.norm(small.cameras[0].center_world - small.cameras[1].center_world))
    right = CalibrateSettings(distances=(("cam0", "cam1", apart),))
    assert "wrong_scale" not in _findings(small, right)
    larger = replace(small, board=parse_board("9x6", 100))
    finding = _findings(larger, right)["wrong_scale"]
    # The true squares are 80 mm; twelve moments know the distance to about 2 mm of 4.2 m.
    assert "squares were 80." in finding.message or "squares were 79." in finding.message
    footage = Footage((Clip("a", (), ()), Clip("b", (), ())))
    unknown = CalibrateSettings(distances=(("a", "z", 1.0),))
    assert "CAMERA:CAMERA:METRES" in str(_refusal(lambda: calibrate(footage, BOARD, unknown)))


def test_4_wrong_counts(tmp_path: Path) -> None:
    footage = _pictures(tmp_path, {camera: [_flat_board(8, 5)] for camera in "ab"})
    # Squares were counted, 9 x 6; where four squares meet there are 8 x 5 corners.
    error = _refusal(lambda: calibrate(footage, BOARD))
    assert error.reason == "wrong_counts"
    assert "give 8x5" in str(error)


@pytest.mark.parametrize("square_mm", [0.08, 3000.0])
def test_5_wrong_units(square_mm: float) -> None:
    error = _refusal(lambda: parse_board("9x6", square_mm))
    assert (error.reason, error.field) == ("wrong_units", "/square_mm")


def test_6_a_board_that_looks_the_same_turned_by_half() -> None:
    error = _refusal(lambda: check_board_for_rig(parse_board("9x7", 25)))
    assert error.reason == "symmetric_board"


def test_7_desynchronized_views(small: World) -> None:
    def late(view: View) -> View:
        own = (view.camera, view.moment) == ("cam1", "m004")
        return replace(view, corners_px=view.corners_px + np.array([10.0, 9.0])) if own else view

    assert "synchronized" in _findings(_changed(small, late))["rejected_desync"].fix


def test_8_unequal_frame_counts(small: World) -> None:
    counts = {"cam0": 400, "cam1": 400, "cam2": 441, "cam3": 400}
    clips = tuple(Clip(name, (), (), frame_count=count) for name, count in counts.items())
    verdict = calibrate_views(small.sightings, Footage(clips), small.board).rig.verdict
    assert verdict is not None
    assert "unequal_frame_counts" in {finding.code for finding in verdict.findings}


def test_9_swapped_camera_files() -> None:
    world = make_world(0, moments=48, close=4)
    other = {"cam0": "cam2", "cam2": "cam0"}

    def swapped(view: View) -> View:
        early = view.shared and view.moment < "m020"
        return replace(view, camera=other.get(view.camera, view.camera)) if early else view

    found = _findings(_changed(world, swapped))
    assert "which file is of which camera" in found["cameras_swapped"].fix


def test_10_pictures_given_twice(small: World) -> None:
    again = replace(small.views[0], moment="again")
    found = _findings(replace(small, views=(*small.views, again)))
    assert "once" in found["rejected_duplicate"].fix


def test_11_a_size_that_changes(tmp_path: Path) -> None:
    board = _flat_board(9, 6)
    footage = _pictures(tmp_path, {"a": [board, board[:350]], "b": [board, board]})
    assert _refusal(lambda: calibrate(footage, BOARD)).reason == "size_changed"


def test_11_a_known_lens_of_another_size(small: World) -> None:
    rig = replace(
        _rig(small), cameras=tuple(replace(c, size_px=(1280, 720)) for c in _rig(small).cameras)
    )
    lenses, sizes = lenses_in(rig, [camera.name for camera in small.cameras])
    settings = CalibrateSettings(known_lenses=lenses, known_sizes_px=sizes)
    error = _refusal(lambda: _findings(small, settings))
    assert error.reason == "size_changed"
    assert "1280x720" in str(error)


def _rig(world: World) -> Rig:
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    return calibrate_views(world.sightings, footage, world.board).rig


def test_12_blur(small: World) -> None:
    def blurred(view: View) -> View:
        return replace(view, edge_px=14.0 if view.moment in ("m004", "m005") else 2.8)

    assert "rejected_blur" in _findings(_changed(small, blurred))
    assert "blurred" in _findings(_changed(small, lambda v: replace(v, edge_px=14.0)))


def test_12_blur_is_measured_in_the_picture(tmp_path: Path) -> None:
    sharp = _flat_board(9, 6)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3.0)
    views = find_boards(_pictures(tmp_path, {"a": [sharp, soft], "b": [sharp]}), BOARD).views
    edges = {(view.camera, view.moment): view.edge_px for view in views}
    # A Gaussian's edge rises from 10 to 90 % over 2.56 sigma, of 0.8 and of 3.1 px.
    assert edges["a", "0"] == pytest.approx(2.56 * 0.8, abs=1.0)
    assert edges["a", "1"] == pytest.approx(2.56 * 3.1, abs=1.5)


def test_13_black_frames(tmp_path: Path) -> None:
    black = np.zeros((360, 480), np.uint8)
    footage = _pictures(tmp_path, {"a": [black, black], "b": [black, black]})
    error = _refusal(lambda: calibrate(footage, BOARD))
    assert error.reason == "black_frames"
    footage = _pictures(tmp_path / "one", {"a": [_flat_board(9, 6)] * 2, "b": [black, black]})
    error = _refusal(lambda: calibrate(footage, BOARD))
    assert (error.reason, error.camera) == ("black_frames", "b")


def test_14_no_board(tmp_path: Path) -> None:
    gray = np.full((360, 480), 128, np.uint8)
    footage = _pictures(tmp_path, {"a": [gray], "b": [gray]})
    assert _refusal(lambda: calibrate(footage, BOARD)).reason == "board_not_found"


def _straight_on(depths: list[float], tilt_rad: float) -> World:
    rng = np.random.default_rng(1)
    cameras = stereo_pair(rng)
    views = []
    for moment, depth in enumerate(depths):
        spot = np.array([depth - 3.0, 0.05 * (moment - 5), 1.0])
        pose = facing(rng, BOARD, spot, spot - [3.0, 0, 0], tilt_rad)
        for camera in cameras:
            corners = see(rng, camera, BOARD, pose, 0.2)
            assert corners is not None
            views.append(View(camera.name, f"m{moment:02d}", corners, np.arange(54)))
    return World(cameras, BOARD, tuple(views), {})


def test_15_a_board_at_one_depth() -> None:
    assert "nearer and farther" in _findings(_straight_on([3.0] * 12, 0.0))["one_depth"].fix


def test_16_a_board_without_tilt() -> None:
    found = _findings(_straight_on([2.2, 2.6, 3.0, 3.4, 3.8, 4.2] * 2, 0.0))
    assert "tilt the board" in found["no_tilt"].fix


def test_17_collinear_and_partial_corners(small: World) -> None:
    def part(view: View) -> View:
        if (view.camera, view.moment) == ("cam0", "m000"):
            return replace(view, corners_px=view.corners_px[:9], ids=view.ids[:9])
        if (view.camera, view.moment) == ("cam1", "m004"):
            return replace(view, corners_px=view.corners_px[:4], ids=view.ids[:4])
        return view

    found = _findings(_changed(small, part))
    assert found["rejected_collinear"].message.startswith("2 views")


def test_18_unconnected_cameras(small: World) -> None:
    pair = {"cam0", "cam1"}

    def apart(view: View) -> View:
        return replace(view, moment=view.moment + ("a" if view.camera in pair else "b"))

    error = _refusal(lambda: _findings(_changed(small, apart)))
    assert error.reason == "unconnected"
    assert "cam0, cam1 | cam2, cam3" in str(error)


def test_19_a_single_view(small: World) -> None:
    first = next(view for view in small.views if view.camera == "cam3" and view.shared)
    views = tuple(v for v in small.views if v.camera != "cam3" or v is first)
    error = _refusal(lambda: _findings(replace(small, views=views)))
    assert (error.reason, error.camera) == ("single_view", "cam3")


def test_20_a_camera_bumped_while_filming() -> None:
    rng = np.random.default_rng(5)
    cameras = ring(rng)
    bump = transform(np.eye(3), np.array([0.05, 0.02, 0.0]))
    later = list(cameras)
    later[1] = replace(cameras[1], cam_from_world=bump @ cameras[1].cam_from_world)
    first = board_moments(rng, cameras, BOARD, 16, 0.2)
    second = board_moments(rng, later, BOARD, 16, 0.2)
    views = (*first, *(replace(v, moment=f"n{v.moment}") for v in second))
    assert _findings(World(cameras, BOARD, views, {}))["camera_moved"].camera == "cam1"


def test_21_distortion_that_folds() -> None:
    """As few views in the middle of the picture leave the lens outside them."""
    evidence = fine_evidence()
    folded = replace(evidence.cameras[1], dist=np.array([-0.9, 0, 0, 0, 0]))
    findings = judge(replace(evidence, cameras=(folded,))).findings
    assert [finding.code for finding in findings] == ["distortion_folds"]


def test_22_to_24_rig_files(small: World) -> None:
    text = rig_to_yaml(_rig(small))
    cut_short = text[: text.index("R: [[") + 12]
    assert _refusal(lambda: rig_from_yaml(cut_short)).reason == "corrupt_yaml"
    number = text.index("t: [") + 4
    not_finite = text[:number] + ".nan" + text[text.index(",", number) :]
    error = _refusal(lambda: rig_from_yaml(not_finite))
    assert error.reason == "not_finite"
    assert "/cameras/cam0/t/0" in str(error)
    twice = text.replace("\n  cam1:", "\n  cam0:")
    assert _refusal(lambda: rig_from_yaml(twice)).reason == "given_twice"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty_video"), (b"RIFF but no video" * 9, "unreadable_video")]
)
def test_25_videos_that_are_empty_or_of_no_known_codec(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    for camera in "ab":
        (tmp_path / f"{camera}.avi").write_bytes(content)
    assert _refusal(lambda: footage_from_dir(tmp_path)).reason == reason
