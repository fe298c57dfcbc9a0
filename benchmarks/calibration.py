"""The calibration beside its peers, on the same corners: `python -m benchmarks.calibration`.

Scene: four cameras on a 3 m ring, 1920 x 1080, f about 1400, k1 about -0.25; 60 moments of a 9x6
board of 80 mm squares, most seen by two cameras; 20 close-ups per camera; 0.2 px of noise per axis.
Spoiled: views turned by half, views 30 mm late, and views with a quarter of the corners off by
8 px, a third each. After the table: which spoiled views are named, how honest the predicted sigmas
are, and boards that others filmed (`../shared/data`).

`shape mm` is the error of 500 triangulated points in a 2 m cube after rigid alignment: what pose
capture sees. The bound is what no unbiased estimate can better. `rot` and `trans` are those of
cameras 1 to 3 against camera 0. Times are processor seconds, so a busy machine does not spoil them;
corners are given, so finding them is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy

from calibration.calibrate import CalibrateSettings, calibrate_views
from calibration.camera import F64, Camera, project, to_rays
from calibration.footage import Clip, Footage
from calibration.transforms import angle_rad, from_rvec, inverse
from tests.calibration.boards import World, make_world

from .calibration_checks import at_the_bound, real, sigmas, spoiled

Solver = Callable[[World], tuple[list[F64], list[F64], list[F64], float]]


def ours(world: World) -> tuple[list[F64], list[F64], list[F64], float]:
    """K, dist and cam_from_reference per camera, and the RMS in pixels."""
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    rig = calibrate_views(world.sightings, footage, world.board, CalibrateSettings()).rig
    assert rig.quality is not None
    cameras = rig.cameras
    return (
        [c.K for c in cameras],
        [c.dist for c in cameras],
        [c.cam_from_world for c in cameras],
        rig.quality.rms_px,
    )


def opencv_chain(world: World) -> tuple[list[F64], list[F64], list[F64], float]:
    """CalibrateCamera per camera, then stereoCalibrate pair by pair round the ring."""
    K, dist = _opencv_lenses(world)
    names = [camera.name for camera in world.cameras]
    poses = {names[0]: np.eye(4)}
    errors = []
    points = world.board.points_board.astype(np.float32)
    for first, second in pairwise(names):
        pairs = _shared(world, first, second)
        i, j = names.index(first), names.index(second)
        out = cv2.stereoCalibrate(
            [points] * len(pairs),
            [a.astype(np.float32) for a, _ in pairs],
            [b.astype(np.float32) for _, b in pairs],
            K[i], dist[i], K[j], dist[j], world.cameras[0].size_px,
            flags=cv2.CALIB_FIX_INTRINSIC,
        )  # fmt: skip
        errors.append(float(out[0]))
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = out[5], np.asarray(out[6]).reshape(3)
        poses[second] = step @ poses[first]
    return K, dist, [poses[name] for name in names], float(np.mean(errors))


def opencv_multiview(world: World) -> tuple[list[F64], list[F64], list[F64], float]:
    """cv2.calibrateMultiview (OpenCV 5) on lenses from calibrateCamera."""
    K, dist = _opencv_lenses(world)
    names = [camera.name for camera in world.cameras]
    moments = sorted({view.moment for view in world.views if view.shared})
    by_key = {view.key: view for view in world.views}
    points = world.board.points_board.astype(np.float32)
    mask = np.zeros((len(names), len(moments)), np.uint8)
    images: list[list[Any]] = []
    for row, name in enumerate(names):
        images.append([])
        for column, moment in enumerate(moments):
            view = by_key.get((name, moment, True))
            mask[row, column] = view is not None
            empty = np.zeros((0, 2), np.float32)
            images[row].append(empty if view is None else view.corners_px.astype(np.float32))
    out = cv2.calibrateMultiview(
        [points] * len(moments),
        images,
        [camera.size_px for camera in world.cameras],
        mask,
        np.zeros((len(names), 1), np.uint8),
        [k.copy() for k in K],
        [d.copy() for d in dist],
        [np.eye(3) for _ in names],
        [np.zeros((3, 1)) for _ in names],
        np.full((len(names), 1), cv2.CALIB_USE_INTRINSIC_GUESS, np.int32),
        cv2.CALIB_USE_INTRINSIC_GUESS,
    )
    rms, K, dist, rotations, translations = out[:5]
    poses = []
    for R, t in zip(rotations, translations, strict=True):
        R = np.asarray(R, dtype=np.float64)
        poses.append(from_rvec(cv2.Rodrigues(R)[0] if R.shape == (3, 3) else R, np.asarray(t)))
    return K, dist, poses, float(rms)


def _opencv_lenses(world: World) -> tuple[list[F64], list[F64]]:
    K, dist = [], []
    points = world.board.points_board.astype(np.float32)
    for camera in world.cameras:
        seen = [v.corners_px.astype(np.float32) for v in world.views if v.camera == camera.name]
        out = cv2.calibrateCamera(
            [points] * len(seen), seen, camera.size_px, np.eye(3), np.zeros(5)
        )
        K.append(np.asarray(out[1], dtype=np.float64))
        dist.append(np.asarray(out[2], dtype=np.float64).reshape(-1))
    return K, dist


def _shared(world: World, first: str, second: str) -> list[tuple[F64, F64]]:
    seen = {view.key: view.corners_px for view in world.views}
    moments = [v.moment for v in world.views if v.shared and v.camera == first]
    return [
        (seen[first, m, True], seen[second, m, True]) for m in moments if (second, m, True) in seen
    ]


def errors(world: World, K: Sequence[F64], dist: Sequence[F64], poses: Sequence[F64]) -> F64:
    """(4,) rot deg and trans mm (RMS over cameras 1 to 3), tri mm, shape mm."""
    turns, shifts = [], []
    for camera, pose in zip(world.cameras[1:], poses[1:], strict=True):
        true = world.true_cam_from_reference(camera.name)
        turns.append(np.degrees(angle_rad(pose[:3, :3] @ true[:3, :3].T)))
        shifts.append(1000 * np.linalg.norm(inverse(pose)[:3, 3] - inverse(true)[:3, 3]))
    found = [
        Camera(c.name, c.size_px, K[i], dist[i], poses[i]) for i, c in enumerate(world.cameras)
    ]
    truth = [
        Camera(c.name, c.size_px, c.K, c.dist, world.true_cam_from_reference(c.name))
        for c in world.cameras
    ]
    rng = np.random.default_rng(0)
    cube = rng.uniform(-1, 1, (500, 3)) + np.array([0, 0, 1.0])
    T = world.cameras[0].cam_from_world
    points = cube @ T[:3, :3].T + T[:3, 3]
    A, b = np.zeros((500, 3, 3)), np.zeros((500, 3))
    for true_camera, camera in zip(truth, found, strict=True):
        rays = to_rays(camera, project(true_camera, points))
        across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
        A += across
        b += across @ camera.center_world
    solved = np.linalg.solve(A, b[..., None])[..., 0]
    u, _, vt = np.linalg.svd((solved - solved.mean(0)).T @ (points - points.mean(0)))
    R = vt.T @ np.diag([1, 1, np.linalg.det(vt.T @ u.T)]) @ u.T
    aligned = (solved - solved.mean(0)) @ R.T + points.mean(0)

    def rms(values: F64) -> float:
        return float(np.sqrt(np.mean(np.square(values))))

    return np.array(
        [
            rms(np.array(turns)),
            rms(np.array(shifts)),
            1000 * rms(np.linalg.norm(solved - points, axis=1)),
            1000 * rms(np.linalg.norm(aligned - points, axis=1)),
        ]
    )


def run(seeds: int) -> list[dict[str, Any]]:
    """One row per scene and solver."""
    solvers: dict[str, Solver] = {
        "quadglass": ours,
        "OpenCV calibrateCamera + stereoCalibrate chain": opencv_chain,
        "OpenCV calibrateMultiview": opencv_multiview,
    }
    scenes = {
        "clean": {},
        "9 views spoiled": {"spoil": 3},
        "30 views spoiled (15 %)": {"spoil": 10},
        "30 mm squares": {"square_mm": 30.0},
        "stereo, 0.5 m baseline": {"stereo": True},
    }
    rows = []
    for scene, options in scenes.items():
        for name, solver in solvers.items():
            results, times, fits, failed = [], [], [], 0
            for seed in range(seeds):
                world = make_world(seed, **options)  # type: ignore[arg-type]
                start = time.process_time()
                try:
                    K, dist, poses, rms = solver(world)
                except cv2.error:
                    failed += 1
                    continue
                times.append(time.process_time() - start)
                results.append(errors(world, K, dist, poses))
                fits.append(rms)
            rows.append(_row(scene, name, results, times, fits, failed))
            print(_line(rows[-1]), flush=True)
        if "spoil" not in options:
            rows.append(_bound(scene, seeds, options))
            print(_line(rows[-1]), flush=True)
    return rows


def _bound(scene: str, seeds: int, options: dict[str, Any]) -> dict[str, Any]:
    """The row of an estimate that is as good as any unbiased one can be."""
    results = []
    for seed in range(seeds):
        world = make_world(seed, **options)
        results += [errors(world, *drawn) for drawn in at_the_bound(world, seed)]
    return _row(scene, "(Cramer-Rao bound)", results, [0.0], [0.2 * 2**0.5], 0)


def _row(
    scene: str, name: str, results: list[F64], times: list[float], fits: list[float], failed: int
) -> dict[str, Any]:
    row: dict[str, Any] = {"scene": scene, "solver": name, "failed": failed}
    if results:
        mean = np.sqrt(np.mean(np.square(results), axis=0))
        row |= dict(zip(("rot_deg", "trans_mm", "tri_mm", "shape_mm"), mean.tolist(), strict=True))
        row |= {"rms_px": float(np.mean(fits)), "seconds": float(np.median(times))}
    return row


def _line(row: dict[str, Any]) -> str:
    start = f"{row['scene']:<26} {row['solver']:<48}"
    if "rms_px" not in row:
        return f"{start} failed {row['failed']} times"
    failed = f"  failed {row['failed']}" if row["failed"] else ""
    return (
        f"{start} {row['rms_px']:7.3f} px {row['rot_deg']:7.3f} deg {row['trans_mm']:8.2f} mm "
        f"{row['tri_mm']:8.2f} mm {row['shape_mm']:8.3f} mm {row['seconds']:6.2f} s{failed}"
    )


def main() -> None:
    """Prints the table, and writes it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two seeds instead of five")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; OpenCV {cv2.__version__}, numpy {np.__version__}, scipy {scipy.__version__}")
    print(f"{'scene':<26} {'solver':<48} {'rms':>10} {'rot':>11} {'trans':>11} {'tri':>11} shape")
    rows = run(2 if options.quick else 5)
    checks = _checks(2 if options.quick else 5, 5 if options.quick else 50)
    if options.json:
        content = {"machine": machine, "rows": rows, **checks}
        options.json.write_text(json.dumps(content, indent=2))


def _checks(seeds: int, many: int) -> dict[str, Any]:
    """The rest of the figures, printed as they come."""
    named = spoiled(seeds)
    for row in named:
        print(
            f"spoiled {row['share']:5.1%} of {row['views']} views: {row['named']} of "
            f"{row['spoiled']} named for the right reason; of good ones {row['lost']} lost, "
            f"{row['wrong']} accused, {row['either']} named as 'this or its spoiled partner' (they "
            f"serve their lens); {row['seconds']:.2f} s"
        )
    spread = sigmas(many)
    told = ", ".join(f"{name} {value:.2f}" for name, value in spread.items())
    print(f"errors over predicted sigmas, {many} seeds (1 is honest): {told}", flush=True)
    boards = real()
    for row in boards:
        print(f"{row['footage']:<32} {row['rms_px']:.3f} px, {row['said']}")
    return {"spoiled": named, "sigmas": spread, "real": boards}


if __name__ == "__main__":
    main()
