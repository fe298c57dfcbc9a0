from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.board import detect, parse_board
from calibration.calibrate import (
    CalibrateSettings,
    Calibration,
    Progress,
    calibrate,
    calibrate_intrinsics_only,
    calibrate_views,
)
from calibration.errors import (
    BadBoard,
    BadFootage,
    BadInput,
    BoardNotFound,
    Cancelled,
    TooFewViews,
    Unconnected,
    UnknownCamera,
    Unsolvable,
)
from calibration.footage import Clip, Footage
from calibration.formats import read_any
from calibration.intrinsics import calibrate_lens
from calibration.prepare import footage_from_dir, footage_from_quad, parse_layout
from calibration.rig_file import rig_from_yaml, rig_to_yaml
from calibration.transforms import angle_rad, inverse
from calibration.views import View

from .boards import World, board_moments, facing, make_world, render, ring, see, stereo_pair
from .shared_data import (
    caliscope_calibration,
    caliscope_lenses,
    shared,
    stereo_folders,
    tut_folders,
)

DEFAULTS = CalibrateSettings()


def _from_corners(world: World, settings: CalibrateSettings = DEFAULTS) -> Calibration:
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    return calibrate_views(world.sightings, footage, world.board, settings)


def _pose_errors(world: World, result: Calibration) -> tuple[float, float]:
    """Largest turn (rad) and shift (m) of a camera against the truth, as seen from the first."""
    turns, shifts = [], []
    for camera in result.rig.cameras:
        T = camera.cam_from_world @ inverse(result.rig.cameras[0].cam_from_world)
        true = world.true_cam_from_reference(camera.name)
        turns.append(float(angle_rad(T[:3, :3] @ true[:3, :3].T)))
        shifts.append(float(np.linalg.norm(inverse(T)[:3, 3] - inverse(true)[:3, 3])))
    return max(turns), max(shifts)


def test_a_ring_of_four_is_recovered_and_its_file_and_report_hold() -> None:
    world = make_world(1)
    result = _from_corners(world)
    turn, shift = _pose_errors(world, result)
    # Cramer-Rao for this scene: 0.048 degrees and 2.8 mm for the three cameras together; four
    # sigmas of the worst of three.
    assert np.degrees(turn) < 4 * 0.05
    assert shift < 4 * 0.003
    rig = result.rig
    assert (rig.kind, rig.reference, rig.world, rig.stereo) == ("quad", "cam0", "reference", None)
    assert rig.quality is not None
    # Two coordinates of 0.2 px; 20000 residuals know it to 0.5 %.
    assert rig.quality.rms_px == pytest.approx(0.2 * np.sqrt(2), rel=0.03)
    assert rig.quality.cross_validation_px == pytest.approx(0.2 * np.sqrt(2), rel=0.06)
    assert rig.quality.chi2_dof == pytest.approx(1.0, abs=0.1)
    assert rig.verdict is not None
    assert rig.verdict.grade == "good"
    assert rig.rejected == ()
    assert rig_to_yaml(rig_from_yaml(rig_to_yaml(rig))) == rig_to_yaml(rig)
    report = json.loads(json.dumps(result.report, allow_nan=False))
    assert len(report["views"]) == len(world.views)
    assert len(report["covariance"]["matrix"]) == 60
    assert {pair["first"] for pair in report["pairs"]} <= set(rig.names)


def test_spoiled_views_are_rejected_for_the_right_reason_and_cost_nothing() -> None:
    world = make_world(1, spoil=3)
    result = _from_corners(world)
    reasons = {(r.camera, r.frame): r.reason for r in result.rig.rejected}
    for (camera, moment, _), kind in world.spoiled.items():
        assert reasons.get((camera, moment)) == kind, (camera, moment)
    # Beside the nine: the partner of each late view. Two cameras saw the moment, so nobody can tell
    # which of them was late; both still serve their own lens, as do the turned views and those
    # with some corners off.
    late = {moment for (_, moment, _), kind in world.spoiled.items() if kind == "desync"}
    spoiled = {(camera, moment) for camera, moment, _ in world.spoiled}
    assert {moment for camera, moment in reasons.keys() - spoiled} <= late
    assert len(result.report["views"]) == len(world.views)
    turn, shift = _pose_errors(world, result)
    assert np.degrees(turn) < 4 * 0.05
    assert shift < 4 * 0.003
    assert result.rig.quality is not None
    # Two coordinates of 0.2 px; 20000 residuals know it to 0.5 %.
    assert result.rig.quality.rms_px == pytest.approx(0.2 * np.sqrt(2), rel=0.03)


def test_the_world_can_be_a_board_on_the_floor() -> None:
    world = make_world(2, moments=12, close=6)
    settings = CalibrateSettings(world="floor", world_moment="m003")
    rig = _from_corners(world, settings).rig
    assert rig.world == "floor"
    assert all(camera.center_world[2] > 0 for camera in rig.cameras if _sees(world, camera.name))
    plain = _from_corners(world).rig
    for a, b in combinations(range(4), 2):
        apart = [
            np.linalg.norm(r.cameras[a].center_world - r.cameras[b].center_world)
            for r in (rig, plain)
        ]
        assert apart[0] == pytest.approx(apart[1], rel=1e-12)
    with pytest.raises(BoardNotFound, match="nowhere"):
        _from_corners(world, CalibrateSettings(world="floor", world_moment="nowhere"))


def _sees(world: World, camera: str) -> bool:
    return any(v.camera == camera and v.moment == "m003" for v in world.views)


def test_given_lenses_stay_as_they_are() -> None:
    world = make_world(2, moments=12, close=6)
    known = {camera.name: (camera.K, camera.dist) for camera in world.cameras[:2]}
    rig = _from_corners(world, CalibrateSettings(known_lenses=known)).rig
    for camera in world.cameras[:2]:
        np.testing.assert_array_equal(rig.camera(camera.name).K, camera.K)
        np.testing.assert_array_equal(rig.camera(camera.name).dist, camera.dist)


def test_a_stereo_pair_is_recovered() -> None:
    world = make_world(4, moments=30, close=10, stereo=True)
    rig = _from_corners(world).rig
    assert rig.kind == "stereo"
    assert rig.stereo is not None
    # 30 boards at 3 m: 0.3 mm in the measured table; four of those.
    assert np.linalg.norm(rig.stereo.t) == pytest.approx(0.5, abs=4 * 0.0003)
    # Rows agree to the noise of two pixels, 0.2 * sqrt(2), within a few percent.
    assert rig.stereo.epipolar_rms_px == pytest.approx(0.2 * np.sqrt(2), rel=0.15)


def test_tut_from_image_files_to_yaml(tmp_path: Path) -> None:
    result = calibrate(footage_from_dir(tut_folders(tmp_path)), parse_board("28x17", 20))
    assert [camera["found"] for camera in result.report["cameras"].values()] == [5, 5, 5, 5]
    rig = read_any(rig_to_yaml(result.rig).encode())
    assert rig.quality is not None
    assert rig.quality.rms_px <= 0.30
    centers = {camera.name[-2:]: camera.center_world for camera in rig.cameras}
    reference_mm = {
        ("02", "07"): 343.41, ("02", "11"): 616.24, ("02", "15"): 888.35,
        ("07", "11"): 272.86, ("07", "15"): 544.98, ("11", "15"): 272.12,
    }  # fmt: skip
    for (a, b), truth in reference_mm.items():
        assert 1000 * np.linalg.norm(centers[a] - centers[b]) == pytest.approx(truth, rel=0.005)
    focal = {"02": 1066.6, "07": 1060.5, "11": 1061.9, "15": 1061.1}
    for camera in rig.cameras:
        assert camera.K[0, 0] == pytest.approx(focal[camera.name[-2:]], rel=0.01)


def test_opencvs_stereo_pairs(tmp_path: Path) -> None:
    footage = footage_from_dir(stereo_folders(tmp_path))
    result = calibrate(footage, parse_board("9x6", 1000), CalibrateSettings(kind="stereo"))
    stereo, quality = result.rig.stereo, result.rig.quality
    assert stereo is not None
    assert quality is not None
    assert (stereo.left, stereo.right) == ("left", "right")
    assert np.linalg.norm(stereo.t) == pytest.approx(3.335, rel=0.01)  # squares
    assert stereo.t[0] < -0.99 * np.linalg.norm(stereo.t)
    assert quality.rms_px <= 0.4
    assert stereo.epipolar_rms_px <= 0.4
    for camera, focal in zip(result.rig.cameras, (536.07, 542.34), strict=True):
        assert camera.K[0, 0] == pytest.approx(focal, rel=0.01)
    for view in result.report["views"]:
        assert view["rms_px"] <= 0.4, view


@pytest.mark.parametrize(
    "cameras",
    [("cam02",), pytest.param(("cam01", "cam02", "cam03", "cam04"), marks=pytest.mark.slow)],
    ids=len,
)
def test_balancing_lenses_agree_with_qualisys(cameras: tuple[str, ...]) -> None:
    folder = shared("pose2sim-balancing") / "calibration"
    footage = footage_from_dir(folder / "intrinsics")
    clips = tuple(clip for clip in footage.clips if clip.camera in cameras)
    result = calibrate_intrinsics_only(replace(footage, clips=clips), parse_board("4x7", 60))
    assert tuple(camera.name for camera in result.cameras) == cameras
    truth = read_any((folder / "Calib.qca.txt").read_bytes())
    for camera in result.cameras:
        assert camera.K[0, 0] == pytest.approx(truth.camera(camera.name).K[0, 0], rel=0.01)
        assert camera.quality is not None
        assert camera.quality.rms_px < 0.5
    json.dumps(result.report, allow_nan=False)


def test_the_bad_balancing_view_is_left_out_or_put_right() -> None:
    """cam04_07: the usual detection puts one corner at the picture's edge 14 px off (2.08 px RMS).

    With that corner the view is left out; our detection finds the corner where it is.
    """
    folder = shared("pose2sim-balancing") / "calibration" / "intrinsics" / "cam04"
    board = parse_board("4x7", 60)
    usual, ours = [], []
    for file in sorted(folder.glob("*.jpg")):
        picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        found, corners = cv2.findChessboardCorners(picture, (4, 7))
        if found:
            criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
            corners = cv2.cornerSubPix(picture, corners, (11, 11), (-1, -1), criteria)
            pixels = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
            usual.append(View("cam04", file.stem[6:8], pixels, np.arange(28), shared=False))
        seen = detect(picture, board, "thorough")
        if seen is not None:
            ours.append(View("cam04", file.stem[6:8], seen.corners_px, seen.ids, shared=False))
    lens = calibrate_lens("cam04", usual, (1088, 1920), board)
    assert [(r.frame, r.reason) for r in lens.rejected] == [("07", "residual")]
    assert lens.rejected[0].value > 1.5
    lens = calibrate_lens("cam04", ours, (1088, 1920), board)
    fits = dict(zip([view.moment for view in lens.views], lens.view_rms_px, strict=True))
    assert fits["07"] < 0.5


def test_a_four_in_one_video_from_frames_to_rig(tmp_path: Path) -> None:
    """Rendered boards, cut out of one MJPG video, give the rendered cameras back."""
    rng = np.random.default_rng(0)
    board = parse_board("9x6", 100)
    cameras = tuple(
        type(c)(c.name, (640, 360), np.array([[470.0, 0, 320], [0, 470, 180], [0, 0, 1]]),
                np.zeros(5), c.cam_from_world)
        for c in ring(rng, radius_m=2.2)
    )  # fmt: skip
    video = cv2.VideoWriter(
        str(tmp_path / "quad.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (1280, 720), False
    )
    empty = np.random.default_rng(9).integers(60, 200, (45, 80)).astype(np.uint8)
    empty = cv2.resize(empty, (640, 360))
    for moment in range(8):
        pair = (cameras[moment % 4], cameras[(moment + 1) % 4])
        toward = np.mean([camera.center_world for camera in pair], axis=0)
        spot = rng.uniform(-0.35, 0.35, 3) + np.array([0, 0, 1.0])
        pose = facing(rng, board, spot, toward, 0.4)
        parts = [
            render(camera, board, pose, seed=moment) if camera in pair else empty
            for camera in cameras
        ]
        video.write(cv2.vconcat([cv2.hconcat(parts[:2]), cv2.hconcat(parts[2:])]))
    video.release()
    stages: list[Progress] = []
    footage = footage_from_quad(tmp_path / "quad.avi", parse_layout("2x2"))
    result = calibrate(footage, board, progress=stages.append)
    world = World(cameras, board, (), {})
    turn, shift = _pose_errors(world, result)
    # Corners of rendered, compressed boards carry 0.1 px here, half the noise of the ring above,
    # on pictures of a third the focal length: 1.5 times its sigma, 5 of those.
    assert np.degrees(turn) < 5 * 0.075
    assert shift < 5 * 0.0045
    rig = rig_from_yaml(rig_to_yaml(result.rig))
    assert rig.camera("cam3").source.crop_xywh == (640, 360, 640, 360)
    assert rig.camera("cam3").source.file == "quad.avi"
    assert list(dict.fromkeys(p.stage for p in stages)) == [
        "detect", "lenses", "connect", "refine", "check",
    ]  # fmt: skip
    assert all(0 <= p.done <= p.total for p in stages)


def test_cancelling_stops_at_once(tmp_path: Path) -> None:
    footage = footage_from_dir(tut_folders(tmp_path))
    with pytest.raises(Cancelled):
        calibrate(footage, parse_board("28x17", 20), cancelled=lambda: True)


def test_no_board_in_any_picture(tmp_path: Path) -> None:
    for camera in ("a", "b"):
        (tmp_path / camera).mkdir()
        for index in range(2):
            noise = np.random.default_rng(index).integers(0, 255, (240, 320)).astype(np.uint8)
            cv2.imwrite(str(tmp_path / camera / f"{index}.png"), noise)
    with pytest.raises(BoardNotFound, match=r"none of the 4 pictures .* 9x6") as caught:
        calibrate(footage_from_dir(tmp_path), parse_board("9x6", 25))
    assert caught.value.code == "board_not_found"


def test_a_board_that_only_one_camera_saw(tmp_path: Path) -> None:
    root = tut_folders(tmp_path)
    for file in (root / "Camera07").iterdir():
        file.unlink()
        cv2.imwrite(str(file.with_suffix(".png")), np.full((1200, 1920), 90, np.uint8))
    for name in ("Camera11", "Camera15"):
        for file in (root / name).iterdir():
            file.unlink()
        (root / name).rmdir()
    with pytest.raises(BoardNotFound, match="seen by Camera02 but never by Camera07"):
        calibrate(footage_from_dir(root), parse_board("28x17", 20))


def test_cameras_without_a_shared_moment() -> None:
    rng = np.random.default_rng(0)
    board = parse_board("9x6", 80)
    cameras = stereo_pair(rng)
    views = board_moments(rng, cameras, board, 12, 0.2)
    apart = tuple(v for v in views if (int(v.moment[1:]) % 2 == 0) == (v.camera == "left"))
    with pytest.raises(Unconnected, match=r"left \| right"):
        _from_corners(World(cameras, board, apart, {}))


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (CalibrateSettings(kind="quad"), BadFootage),
        (CalibrateSettings(reference="cam9"), UnknownCamera),
    ],
)
def test_settings_that_do_not_fit_the_footage(
    settings: CalibrateSettings, error: type[Exception]
) -> None:
    footage = Footage((Clip("a", (), ()), Clip("b", (), ())))
    with pytest.raises(error):
        calibrate(footage, parse_board("9x6", 25), settings)


def test_a_single_camera_is_no_rig_and_a_symmetric_board_no_target() -> None:
    footage = Footage((Clip("a", (), ()),))
    with pytest.raises(BadFootage, match="at least two"):
        calibrate(footage, parse_board("9x6", 25))
    with pytest.raises(BadBoard, match="turned by half"):
        calibrate(footage, parse_board("9x7", 25))


@pytest.mark.parametrize(
    ("session", "corners", "names", "rms_px"),
    [
        (
            "charuco_calibration",
            "corners_detected.csv",
            ("corner_id", "img_x", "img_y", "obj_x", "obj_y"),
            1.4,
        ),
        # One camera sees only the back of the board, printed mirrored.
        (
            "4_cam_recording",
            "xy.csv",
            ("keypoint_id", "img_loc_x", "img_loc_y", "obj_loc_x", "obj_loc_y"),
            1.0,
        ),
    ],
)
def test_caliscopes_sessions_with_their_own_lenses(
    session: str, corners: str, names: tuple[str, str, str, str, str], rms_px: float
) -> None:
    """Twelve corners a view say little of a lens; with the shipped ones the rig is the shipped."""
    shipped = caliscope_lenses(session)
    result = caliscope_calibration(session, corners, names)
    rig = result.rig
    assert rig.quality is not None
    assert rig.quality.rms_px <= rms_px
    assert abs(result.report["edges"]["mean_error_mm"]) <= 0.005 * 54
    for a, b in combinations(shipped.names, 2):
        theirs, ours = (
            np.linalg.norm(r.camera(a).center_world - r.camera(b).center_world)
            for r in (shipped, rig)
        )
        assert ours == pytest.approx(theirs, rel=0.025), (a, b)


def test_a_known_lens_that_cannot_be_used_is_refused() -> None:
    footage = Footage((Clip("a", (), ()), Clip("b", (), ())))
    known = {"a": (np.eye(3), np.zeros(8))}
    for settings, words in (
        (CalibrateSettings(known_lenses=known, models={"a": "fisheye"}), "pinhole8, asked for is"),
        (CalibrateSettings(fixed={"a": frozenset({"focal"})}), "is not known"),
        (CalibrateSettings(models={"c": "fisheye"}), "the cameras are a, b"),
    ):
        with pytest.raises(BadInput, match=words):
            calibrate(footage, parse_board("9x6", 25), settings)


def _all(world: World, change: Callable[[View], View], camera: str = "") -> World:
    views = tuple(change(v) if camera in ("", v.camera) else v for v in world.views)
    return replace(world, views=views)


@pytest.mark.parametrize("spread", [0.0, 1000.0])
def test_corners_that_are_no_boards_are_refused(spread: float) -> None:
    rng = np.random.default_rng(0)
    world = make_world(0, moments=12, close=0)
    garbage = _all(world, lambda v: replace(v, corners_px=5 + rng.uniform(0, spread, (54, 2))))
    # All in one place they are copies of one view, and one view is too few.
    with pytest.raises(Unsolvable if spread else TooFewViews):
        _from_corners(garbage)


def test_pictures_given_twice_count_once() -> None:
    world = make_world(0, moments=12, close=0)
    again = tuple(replace(v, moment=f"{v.moment}-copy") for v in world.views)
    once, twice = _from_corners(world), _from_corners(replace(world, views=world.views + again))
    assert twice.report["solve"]["views"] == once.report["solve"]["views"]
    assert {r.reason for r in twice.rig.rejected} == {"duplicate"}
    # The same corners; OpenCV's threads may add them up in another order.
    np.testing.assert_allclose(twice.rig.cameras[1].K, once.rig.cameras[1].K, rtol=1e-11)


def test_boards_without_tilt_at_one_depth_are_called_bad() -> None:
    rng = np.random.default_rng(1)
    board = parse_board("9x6", 80)
    cameras = stereo_pair(rng)
    views = []
    for moment in range(10):
        spot = np.array([0.0, 0.05 * (moment - 5), 1.0])
        pose = facing(rng, board, spot, spot - [3.0, 0, 0], 0.0)
        for camera in cameras:
            corners = see(rng, camera, board, pose, 0.2)
            assert corners is not None
            views.append(View(camera.name, f"m{moment}", corners, np.arange(54)))
    verdict = _from_corners(World(cameras, board, tuple(views), {})).rig.verdict
    assert verdict is not None
    assert verdict.grade == "bad"
    assert {"one_depth", "loose_focal"} <= {finding.code for finding in verdict.findings}
