"""Where a board is, from one view of it through a known lens."""

from __future__ import annotations

import cv2
import numpy as np

from . import fisheye
from .board import Board
from .camera import F64
from .projection import model_of, pack
from .transforms import from_rvec
from .views import View

MIN_POINTS = 4
# A pose that fits this many times worse than the best is listed but not worth refining.
HOPELESS = 5.0
# Through a fisheye, corners this far from the board's middle direction are left out of its pose.
MAX_APART = np.cos(np.radians(80.0))


def board_poses(view: View, K: F64, dist: F64, board: Board, *, refined: bool = True) -> list[F64]:
    """`cam_from_board` candidates, best first: a plane far away fits two ways about equally.

    Args:
        view: the corners.
        K: (3, 3).
        dist: coefficients; their count tells the model of the lens.
        board: the board.
        refined: to the least squares; else as they come from the board's homography.
    """
    points = board.points_board[view.ids]
    if model_of(dist) != "fisheye":
        return _pinhole_poses(points, np.ascontiguousarray(view.corners_px), K, dist, refined)
    # Seen by a pinhole camera in the same place that looks straight at the board.
    rays = fisheye.directions(view.corners_px, pack(K, dist))
    middle = np.nanmean(rays, axis=0) if np.isfinite(rays).any() else np.zeros(3)
    length = float(np.linalg.norm(middle))
    if length < 1e-3:
        return []
    turned_from_cam = _turn_to_axis(middle / length)
    turned = rays @ turned_from_cam.T
    good = turned[:, 2] > MAX_APART  # False for NaN
    if good.sum() < MIN_POINTS:
        return []
    norm = np.ascontiguousarray(turned[good, :2] / turned[good, 2:])
    cam_from_turned = np.eye(4)
    cam_from_turned[:3, :3] = turned_from_cam.T
    straight = _pinhole_poses(points[good], norm, np.eye(3), np.zeros(5), refined)
    return [np.asarray(cam_from_turned @ pose) for pose in straight]


def _pinhole_poses(points: F64, pixels: F64, K: F64, dist: F64, refined: bool) -> list[F64]:
    count, rvecs, tvecs, errors = cv2.solvePnPGeneric(
        points, pixels, K, dist, flags=cv2.SOLVEPNP_IPPE
    )
    off = np.asarray(errors, dtype=np.float64).reshape(-1)
    order = np.argsort(off).tolist() if count else []
    poses = []
    for index in order:
        rvec, tvec = rvecs[index], tvecs[index]
        if refined and off[index] <= HOPELESS * off[order[0]]:
            rvec, tvec = cv2.solvePnPRefineLM(points, pixels, K, dist, rvec, tvec)
        pose = from_rvec(np.asarray(rvec), np.asarray(tvec))
        if np.isfinite(pose).all() and pose[2, 3] > 0:
            poses.append(pose)
    return poses


def _turn_to_axis(direction: F64) -> F64:
    """(3, 3) the least turn that takes a unit vector to the optical axis."""
    axis = np.cross(direction, [0.0, 0.0, 1.0])
    sine, cosine = float(np.linalg.norm(axis)), float(direction[2])
    if sine < 1e-12:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0])
    R, _ = cv2.Rodrigues(axis / sine * np.arctan2(sine, cosine))
    return np.asarray(R, dtype=np.float64)
