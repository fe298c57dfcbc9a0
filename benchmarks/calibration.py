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
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy

from calibration.calibrate import CalibrateSettings, calibrate_views
from calibration.camera import F64, Camera, project, to_rays
from calibration.footage import Clip, Footage
from calibration.transforms import angle_rad, inverse
from tests.calibration.boards import World, make_world

from .calibration_checks import at_the_bound, on_every_corner, real, sigmas, spoiled
from .calibration_peers import (
    Solved,
    elsewhere,
    opencv_chain,
    opencv_close_ups,
    opencv_multiview,
)
from .other_python import PeerFailed, why_missing

Solver = Callable[[World], Solved | tuple[Solved, float]]
MRCAL, CALISCOPE = "calibration_mrcal.py", "calibration_caliscope.py"
# In this one OpenCV's usual way (the lenses by close-ups, then stereoCalibrate with those fixed)
# is off by 0.6 to 0.7 mm; 3 m away and with half the close-ups by 0.8 to 1.1 mm.
STEREO_NEAR = {"stereo": True, "away_m": 2.5, "volume_m": 1.0, "close": 40}


def ours(world: World) -> Solved:
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


def run(seeds: int, mrcal: str | None, caliscope: str | None) -> list[dict[str, Any]]:
    """One row per scene and solver.

    Args:
        seeds: worlds a scene; four times as many of the last, whose errors spread most.
        mrcal: a Python that has it, or None.
        caliscope: likewise.
    """
    everyone: dict[str, Solver] = {
        "quadglass": ours,
        "OpenCV calibrateCamera + stereoCalibrate chain": opencv_chain,
        "OpenCV calibrateMultiview": opencv_multiview,
    }
    two: dict[str, Solver] = {
        "quadglass": ours,
        "stereoCalibrate, lenses of the close-ups fixed": opencv_close_ups,
    }
    if mrcal is not None:
        everyone["mrcal"] = elsewhere(mrcal, MRCAL)
    if caliscope is not None:
        everyone["caliscope"] = elsewhere(caliscope, CALISCOPE)
    scenes: list[tuple[str, dict[str, Any], dict[str, Solver], int]] = [
        ("clean", {}, everyone, seeds),
        ("9 views spoiled", {"spoil": 3}, everyone, seeds),
        ("30 views spoiled (15 %)", {"spoil": 10}, everyone, seeds),
        ("30 mm squares", {"square_mm": 30.0}, everyone, seeds),
        ("stereo, 0.5 m baseline", {"stereo": True}, everyone, seeds),
        ("stereo, 2.5 m away", STEREO_NEAR, two, 4 * seeds),
    ]
    rows = []
    for scene, options, solvers, count in scenes:
        for name, solver in solvers.items():
            results, times, fits, failed = [], [], [], 0
            for seed in range(count):
                world = make_world(seed, **options)
                start = time.process_time()
                try:
                    (K, dist, poses, rms), own_s = _timed(solver(world), start)
                except (cv2.error, PeerFailed):
                    failed += 1
                    continue
                times.append(own_s)
                results.append(errors(world, K, dist, poses))
                fits.append(rms)
            rows.append(_row(scene, name, results, times, fits, failed))
            print(_line(rows[-1]), flush=True)
        if "spoil" not in options:
            rows.append(_bound(scene, count, options))
            print(_line(rows[-1]), flush=True)
    return rows


def _timed(out: Solved | tuple[Solved, float], start: float) -> tuple[Solved, float]:
    """What a solver found and its seconds: its own count of them, or those since the start."""
    return out if len(out) == 2 else (out, time.process_time() - start)


def same_optimum(seeds: int, python: str) -> list[dict[str, Any]]:
    """Our least squares on every corner beside mrcal's, without anybody's rejection."""
    rows = []
    for seed in range(seeds):
        world = make_world(seed)
        K, dist, poses, rms = on_every_corner(world)
        (their_K, their_dist, their_poses, their_rms), _ = elsewhere(python, MRCAL, reject=False)(
            world
        )
        turns = [
            angle_rad(a[:3, :3] @ b[:3, :3].T) for a, b in zip(poses, their_poses, strict=True)
        ]
        rows.append(
            {
                "rms_px": [rms, their_rms],
                "shape_mm": [
                    float(errors(world, K, dist, poses)[3]),
                    float(errors(world, their_K, their_dist, their_poses)[3]),
                ],
                "focal_off": max(
                    abs(float(a[0, 0] / b[0, 0]) - 1.0) for a, b in zip(K, their_K, strict=True)
                ),
                "turn_off_deg": float(np.degrees(max(turns))),
            }
        )
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
    for peer in ("mrcal", "caliscope"):
        told = f"a Python that has {peer} (see benchmarks/calibration_{peer}.py)"
        parser.add_argument(f"--{peer}", default=sys.executable, metavar="PYTHON", help=told)
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; OpenCV {cv2.__version__}, numpy {np.__version__}, scipy {scipy.__version__}")
    print(f"{'scene':<26} {'solver':<48} {'rms':>10} {'rot':>11} {'trans':>11} {'tri':>11} shape")
    seeds = 2 if options.quick else 5
    mrcal = _with("mrcal", options.mrcal)
    caliscope = _with("caliscope", options.caliscope)
    rows = run(seeds, mrcal, caliscope)
    checks = _checks(seeds, 5 if options.quick else 50)
    if mrcal is not None:
        checks["same_optimum"] = same_optimum(seeds, mrcal)
        print(_told(checks["same_optimum"]))
    if options.json:
        content = {"machine": machine, "rows": rows, **checks}
        options.json.write_text(json.dumps(content, indent=2))


def _with(peer: str, python: str) -> str | None:
    """That Python if it has the peer; else None, and why is printed."""
    why = why_missing(python, peer)
    if why is not None:
        print(f"{peer} is left out: {why}; name a Python that has it with --{peer}")
    return python if why is None else None


def _told(rows: list[dict[str, Any]]) -> str:
    shapes = ", ".join("{:.7f} / {:.7f}".format(*row["shape_mm"]) for row in rows)
    focal = max(row["focal_off"] for row in rows)
    turn = max(row["turn_off_deg"] for row in rows)
    rms = max(abs(row["rms_px"][0] / row["rms_px"][1] - 1.0) for row in rows)
    return (
        f"optimum on every corner, ours / mrcal: shape mm {shapes}; at most {rms:.0e} of the RMS, "
        f"{focal:.0e} of a focal length and {turn:.0e} degrees apart"
    )


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
