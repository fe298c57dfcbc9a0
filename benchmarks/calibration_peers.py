"""What others make of the same corners: OpenCV's chain and multiview, mrcal, caliscope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from calibration.camera import F64
from calibration.transforms import from_rvec, inverse
from calibration.views import View
from tests.calibration.boards import World

from .other_python import solve

# K, dist and cam_from_reference per camera, and the RMS in pixels
Solved = tuple[list[F64], list[F64], list[F64], float]


def opencv_chain(world: World) -> Solved:
    """CalibrateCamera per camera, then stereoCalibrate pair by pair round the ring."""
    return _chained(world, *_opencv_lenses(world, world.views))


def opencv_close_ups(world: World) -> Solved:
    """The same with lenses from the close-ups alone: first the lenses, later the rig."""
    alone = [view for view in world.views if not view.shared]
    return _chained(world, *_opencv_lenses(world, alone))


def _chained(world: World, K: list[F64], dist: list[F64]) -> Solved:
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


def opencv_multiview(world: World) -> Solved:
    """cv2.calibrateMultiview (OpenCV 5) on lenses from calibrateCamera."""
    K, dist = _opencv_lenses(world, world.views)
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


def _opencv_lenses(world: World, views: Sequence[View]) -> tuple[list[F64], list[F64]]:
    K, dist = [], []
    points = world.board.points_board.astype(np.float32)
    for camera in world.cameras:
        seen = [v.corners_px.astype(np.float32) for v in views if v.camera == camera.name]
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


def elsewhere(
    python: str, script: str, *, reject: bool = True
) -> Callable[[World], tuple[Solved, float]]:
    """A peer in that interpreter, started from OpenCV's chain.

    Args:
        python: an interpreter that has it.
        script: its file in this folder.
        reject: whether it looks for outliers, where it can be told.

    Returns:
        What it finds, and the processor seconds of its own part.
    """

    def run(world: World) -> tuple[Solved, float]:
        K, dist, poses, _ = opencv_chain(world)
        problem = {
            "intrinsics": np.stack([_nine(k, d) for k, d in zip(K, dist, strict=True)]),
            "poses": np.stack([_vector(pose) for pose in poses]),
            **_boards(world, _full_views(world), K, dist, poses),
            "size_px": np.array(world.cameras[0].size_px),
            "square_m": np.array(world.board.square_m),
            "reject": np.array(int(reject)),
        }
        out = solve(python, script, problem)
        found = solved_from(out["intrinsics"], out["poses"], float(out["rms_px"]))
        return found, float(out["seconds"])

    return run


def solved_from(intrinsics: F64, poses: F64, rms_px: float) -> Solved:
    """From rows of `fx fy cx cy k1 k2 p1 p2 k3` and of rotation vector and translation."""
    K = []
    for fx, fy, cx, cy in intrinsics[:, :4]:
        K.append(np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]))
    return K, list(intrinsics[:, 4:]), [from_rvec(row[:3], row[3:]) for row in poses], rms_px


def _full_views(world: World) -> list[View]:
    """By board, as mrcal wants them: moments, then close-ups."""
    return sorted(world.views, key=lambda v: (not v.shared, v.moment, v.camera))


def _boards(
    world: World,
    views: Sequence[View],
    K: Sequence[F64],
    dist: Sequence[F64],
    poses: Sequence[F64],
) -> dict[str, np.ndarray]:
    """Corners as grids, and a place for every board by the first camera that sees it."""
    columns, rows = world.board.inner_corners
    order = {camera.name: index for index, camera in enumerate(world.cameras)}
    boards: dict[tuple[str, str], int] = {}
    places, pixels, indices = [], [], []
    for view in views:
        camera = order[view.camera]
        key = (view.moment, "" if view.shared else view.camera)
        if key not in boards:
            boards[key] = len(places)
            points = world.board.points_board
            _, rvec, tvec = cv2.solvePnP(points, view.corners_px, K[camera], dist[camera])
            in_camera = from_rvec(np.asarray(rvec), np.asarray(tvec))
            places.append(_vector(inverse(poses[camera]) @ in_camera))
        pixels.append(view.corners_px.reshape(rows, columns, 2))
        indices.append((boards[key], camera))
    return {
        "boards": np.stack(places),
        "pixels": np.stack(pixels),
        "indices": np.array(indices, dtype=np.int32),
    }


def _nine(K: F64, dist: F64) -> F64:
    return np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2], *dist[:5]])


def _vector(pose: F64) -> F64:
    rvec = np.asarray(cv2.Rodrigues(pose[:3, :3])[0]).reshape(3)
    return np.concatenate([rvec, pose[:3, 3]])
