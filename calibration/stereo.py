"""Two calibrated cameras as a stereo pair: relative pose, epipolar geometry, rectification."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .camera import F64, Camera, undistort
from .rig import Stereo
from .transforms import inverse, skew


def stereo_from(left: Camera, right: Camera, pairs_px: Sequence[tuple[F64, F64]] = ()) -> Stereo:
    """The pair in OpenCV's terms, `x_right = R @ x_left + t`.

    Args:
        left: the first camera.
        right: the second.
        pairs_px: per moment the same corners in both, (N, 2) distorted pixels each, to measure the
            epipolar error with.
    """
    right_from_left = right.cam_from_world @ inverse(left.cam_from_world)
    R, t = right_from_left[:3, :3], right_from_left[:3, 3]
    E = skew(t) @ R
    F = np.linalg.inv(right.K).T @ E @ np.linalg.inv(left.K)
    F = F / np.linalg.norm(F)
    # OpenCV takes four coefficients for k1 k2 p1 p2. A fisheye's say nothing there: its rectified
    # picture keeps the focal length of the middle.
    flat = [np.zeros(5) if c.model == "fisheye" else c.dist for c in (left, right)]
    out = cv2.stereoRectify(left.K, flat[0], right.K, flat[1], left.size_px, R, t[:, None])
    R1, R2, P1, P2, Q = (np.asarray(part, dtype=np.float64) for part in out[:5])
    return Stereo(
        left=left.name,
        right=right.name,
        R=R,
        t=t,
        E=E,
        F=F,
        R1=R1,
        R2=R2,
        P1=P1,
        P2=P2,
        Q=Q,
        epipolar_rms_px=_epipolar_rms_px(left, right, F, pairs_px),
    )


def _epipolar_rms_px(
    left: Camera, right: Camera, F: F64, pairs_px: Sequence[tuple[F64, F64]]
) -> float:
    """RMS distance of undistorted corners to the epipolar lines of their partners, both ways."""
    squares = []
    for left_px, right_px in pairs_px:
        a = _straight(left, left_px)  # (N, 3)
        b = _straight(right, right_px)
        lines_right = a @ F.T
        lines_left = b @ F
        product = np.abs((b * lines_right).sum(axis=1))
        for lines in (lines_left, lines_right):
            squares.append((product / np.linalg.norm(lines[:, :2], axis=1)) ** 2)
    return float(np.sqrt(np.mean(np.concatenate(squares)))) if squares else 0.0


def _straight(camera: Camera, pixels: F64) -> F64:
    """(N, 3) homogeneous pixels of the camera without its distortion."""
    norm = undistort(camera, pixels)
    return np.concatenate([norm, np.ones((len(norm), 1))], axis=1) @ camera.K.T
