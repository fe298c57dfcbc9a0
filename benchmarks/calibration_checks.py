"""What the calibration says of itself, of spoiled views and of real boards, beside what it should.

Part of `python -m benchmarks.calibration`; the worlds are those of `tests/calibration/boards.py`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from calibration.board import parse_board
from calibration.board_pose import board_poses
from calibration.bundle import minimize, precision
from calibration.calibrate import CalibrateSettings, Calibration, calibrate, calibrate_views
from calibration.camera import F64
from calibration.drift import lens_of
from calibration.footage import Clip, Footage
from calibration.normal_equations import N_CAMERA, Estimate, build_problem
from calibration.prepare import footage_from_dir
from calibration.projection import N_INTRINSICS, names_of, pack, unpack
from calibration.refinement import free_parameters, starting_estimate, view_poses
from calibration.transforms import inverse
from tests.calibration.boards import World, make_world
from tests.calibration.shared_data import (
    SHARED,
    caliscope_calibration,
    stereo_folders,
    tut_folders,
)
from tests.calibration.test_bundle import errors_over_sigma
from tests.calibration.test_report import point_errors_over_sigma

# Draws from the covariance at the truth; the spread of 40 is known to 11 %.
DRAWS = 40


def calibrated(world: World) -> Calibration:
    """The world as our calibration sees it."""
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    return calibrate_views(world.sightings, footage, world.board)


def at_the_bound(world: World, seed: int) -> Iterator[tuple[list[F64], list[F64], list[F64]]]:
    """Cameras that are off by as much as no unbiased estimate can better (Cramer-Rao)."""
    names = [camera.name for camera in world.cameras]
    free = np.ones((len(names), N_CAMERA), dtype=bool)
    free[:, len(names_of("pinhole5")) : N_INTRINSICS] = False
    free[0, N_INTRINSICS:] = False
    problem = build_problem(world.views, names, world.board, free)
    cams = np.stack([world.true_cam_from_reference(name) for name in names])
    boards = np.empty((len(problem.boards), 4, 4))
    for row, view in enumerate(problem.views):
        index = problem.camera_of[row]
        camera = world.cameras[index]
        pose = board_poses(view, camera.K, camera.dist, world.board)[0]
        boards[problem.board_of[row]] = pose if problem.alone[row] else inverse(cams[index]) @ pose
    lenses = np.stack([pack(camera.K, camera.dist) for camera in world.cameras])
    truth = Estimate(lenses, cams, boards)
    found = precision(problem, truth)
    noise = 0.2 / found.sigma_px  # the boards above are not fitted, the noise is known
    values, vectors = np.linalg.eigh(found.covariance * noise**2)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rng = np.random.default_rng(seed)
    for _ in range(DRAWS):
        step = (root @ rng.normal(size=len(values))).reshape(len(names), N_CAMERA)
        off = truth.stepped(step, np.zeros((len(boards), 6)))
        K, dist = zip(*(unpack(lens) for lens in off.intrinsics), strict=True)
        yield list(K), list(dist), list(off.cam_from_world)


def on_every_corner(world: World) -> tuple[list[F64], list[F64], list[F64], float]:
    """Our least squares without rejection: K, dist, poses, and the RMS per axis in pixels.

    `calibrate_views` leaves out corners beyond four sigmas, some five of 11 000; this does not, to
    be compared with others' optimum of exactly the same sum.
    """
    rig = calibrated(world).rig
    lenses = {camera.name: lens_of(camera) for camera in rig.cameras}
    cams = {camera.name: camera.cam_from_world for camera in rig.cameras}
    poses = view_poses(world.views, lenses, world.board)
    free = free_parameters(lenses, rig.reference)
    free[:, : len(names_of("pinhole5"))] = True  # `lens_of` says that its lenses are settled
    problem = build_problem(world.views, list(lenses), world.board, free)
    start = starting_estimate(problem, poses, lenses, cams, world.board)
    fit = minimize(problem, start)
    K, dist = zip(*(fit.estimate.lens(index) for index in range(len(cams))), strict=True)
    rms = float(np.sqrt(2.0 * fit.cost / (2 * problem.used.sum())))
    return list(K), list(dist), list(fit.estimate.cam_from_world), rms


def spoiled(seeds: int) -> list[dict[str, Any]]:
    """Which spoiled views are named, and what that costs the good ones."""
    rows = []
    for each in (3, 9, 10):
        counts = dict.fromkeys(("spoiled", "named", "wrong", "either", "lost", "views"), 0)
        times = []
        for seed in range(seeds):
            world = make_world(seed, spoil=each)
            start = time.process_time()
            result = calibrated(world)
            times.append(time.process_time() - start)
            reasons = {(r.camera, r.frame): r.reason for r in result.rig.rejected}
            truth = {(camera, moment): kind for (camera, moment, _), kind in world.spoiled.items()}
            used = {(view["camera"], view["moment"]) for view in result.report["views"]}
            counts["spoiled"] += len(truth)
            counts["named"] += sum(reasons.get(key) == kind for key, kind in truth.items())
            good = [r for r in result.rig.rejected if (r.camera, r.frame) not in truth]
            either = [r for r in good if (r.partner, r.frame) in truth]
            counts["wrong"] += len(good) - len(either)
            counts["either"] += len(either)
            counts["lost"] += len({(v.camera, v.moment) for v in world.views} - used)
            counts["views"] += len(world.views)
        rows.append({**counts, "share": counts["spoiled"] / counts["views"]})
        rows[-1]["seconds"] = float(np.median(times))
    return rows


def sigmas(seeds: int) -> dict[str, float]:
    """Spread of errors over predicted sigmas: 1 is honest."""
    lens, poses = zip(*(errors_over_sigma(seed) for seed in range(seeds)), strict=True)
    focal = [values.reshape(-1, 4)[:, :2] for values in lens]
    points = [point_errors_over_sigma(seed) for seed in range(seeds)]
    return {
        "poses": float(np.std(np.concatenate(poses))),
        "focal lengths": float(np.std(np.concatenate(focal))),
        "points": float(np.std(np.concatenate(points))),
    }


def real() -> list[dict[str, Any]]:
    """Boards that others filmed, where their pictures are on this machine."""
    if not SHARED.is_dir():
        return []
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        tut = calibrate(
            footage_from_dir(tut_folders(Path(folder) / "tut")), parse_board("28x17", 20)
        )
        truth_mm = {("02", "07"): 343.41, ("02", "11"): 616.24, ("02", "15"): 888.35}
        centers = {camera.name[-2:]: camera.center_world for camera in tut.rig.cameras}
        off = [
            abs(1000 * np.linalg.norm(centers[a] - centers[b]) / truth_mm[a, b] - 1)
            for a, b in combinations(sorted(centers), 2)
            if (a, b) in truth_mm
        ]
        found = sum(camera["found"] for camera in tut.report["cameras"].values())
        rows.append(_row("tut-checkerboard-4cam", tut, f"distances off {100 * max(off):.2f} %"))
        rows[-1]["said"] += f", {found} of 20 boards"
        pair = calibrate(
            footage_from_dir(stereo_folders(Path(folder) / "pair")),
            parse_board("9x6", 1000),
            CalibrateSettings(kind="stereo"),
        )
        assert pair.rig.stereo is not None
        rows.append(_row("opencv-stereo", pair, f"rows {pair.rig.stereo.epipolar_rms_px:.3f} px"))
    charuco = ("corner_id", "img_x", "img_y", "obj_x", "obj_y")
    recording = ("keypoint_id", "img_loc_x", "img_loc_y", "obj_loc_x", "obj_loc_y")
    for session, corners, names in (
        ("charuco_calibration", "corners_detected.csv", charuco),
        ("4_cam_recording", "xy.csv", recording),
    ):
        result = caliscope_calibration(session, corners, names)
        edge = 54 + result.report["edges"]["mean_error_mm"]
        rows.append(_row(f"caliscope {session}", result, f"edges {edge:.2f} mm of 54"))
    return rows


def _row(name: str, result: Calibration, said: str) -> dict[str, Any]:
    assert result.rig.quality is not None
    return {"footage": name, "rms_px": result.rig.quality.rms_px, "said": said}
