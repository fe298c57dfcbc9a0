"""One calibrated camera: from a point in the world to a pixel, and back to a ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from . import fisheye, pinhole

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a camera's frames are cut from.

    A frame is the crop of the video (or the whole of it); a calibrated pixel is
    `scale * frame pixel + offset_px`, pixel centres being integers.
    """

    file: str | None = None
    crop_xywh: tuple[int, int, int, int] | None = None
    scale: float = 1.0
    offset_px: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class CameraSigma:
    """One standard deviation of each kind of parameter."""

    focal_px: float
    center_px: float
    rotation_rad: float
    translation_m: float


@dataclass(frozen=True, slots=True)
class CameraQuality:
    """How well the board views of one camera fit."""

    rms_px: float
    p95_px: float
    views: int
    corners: int
    coverage: float  # share of a 9 x 5 grid over the picture that holds a corner
    depth_ratio: float  # farthest over nearest board


@dataclass(frozen=True, slots=True)
class Camera:
    """One calibrated camera.

    `x_cam = R @ x_world + t`, camera x right, y down, z forward; pixel (0, 0) is the centre of the
    top-left pixel.
    """

    name: str
    size_px: tuple[int, int]  # (width, height) of the calibrated picture
    K: F64  # (3, 3)
    dist: F64  # (5,) or (8,) k1 k2 p1 p2 k3 k4 k5 k6, OpenCV's order; fisheye (4,) k1 k2 k3 k4
    cam_from_world: F64  # (4, 4)
    model: Literal["pinhole", "fisheye"] = "pinhole"
    source: Source = field(default_factory=Source)
    sigma: CameraSigma | None = None
    quality: CameraQuality | None = None

    @property
    def center_world(self) -> F64:
        """(3,) the camera's centre in the world, metres."""
        return np.asarray(-self.cam_from_world[:3, :3].T @ self.cam_from_world[:3, 3])

    @property
    def frame_size_px(self) -> tuple[int, int]:
        """(width, height) that a frame of this camera must have."""
        return self.source.crop_xywh[2:] if self.source.crop_xywh else self.size_px


def project(camera: Camera, points_world: F64) -> F64:
    """Distorted pixels of points.

    Args:
        camera: the camera.
        points_world: (N, 3) metres; NaN rows stay NaN.

    Returns:
        (N, 2) distorted calibrated pixels; NaN behind the camera.
    """
    R, t = camera.cam_from_world[:3, :3], camera.cam_from_world[:3, 3]
    points_cam = np.asarray(points_world, dtype=np.float64).reshape(-1, 3) @ R.T + t  # (N, 3)
    pixels = np.full((len(points_cam), 2), np.nan)
    front = points_cam[:, 2] > 1e-9  # False for NaN too
    if front.any():
        visible = np.ascontiguousarray(points_cam[front]).reshape(-1, 1, 3)
        zero = np.zeros(3)
        if camera.model == "fisheye":
            out, _ = cv2.fisheye.projectPoints(visible, zero, zero, camera.K, camera.dist[:4])
        else:
            out, _ = cv2.projectPoints(visible, zero, zero, camera.K, camera.dist)
        pixels[front] = np.asarray(out, dtype=np.float64).reshape(-1, 2)
    return pixels


def undistort(camera: Camera, points_px: F64) -> F64:
    """Undistorted directions at z = 1.

    Args:
        camera: the camera.
        points_px: (N, 2) distorted calibrated pixels; NaN rows stay NaN.

    Returns:
        (N, 2) undistorted, at z = 1 in the camera; NaN where the lens puts nothing.
    """
    points_px = np.asarray(points_px, dtype=np.float64).reshape(-1, 2)
    norm = np.full_like(points_px, np.nan)
    seen = np.isfinite(points_px).all(axis=1)
    if seen.any():
        pixels = np.ascontiguousarray(points_px[seen]).reshape(-1, 1, 2)
        if camera.model == "fisheye":
            norm[seen] = fisheye.undistort(points_px[seen], _numbers(camera))
            return norm
        # The default five iterations leave 1e-3 px at the corners of a wide lens.
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-12)
        out = cv2.undistortPoints(pixels, camera.K, camera.dist, criteria=criteria)
        norm[seen] = np.asarray(out, dtype=np.float64).reshape(-1, 2)
        if camera.dist.size > 5:
            lens = _numbers(camera)
            distorted = (points_px[seen] - lens[2:4]) / lens[:2]
            norm[seen] = pinhole.undistort_from(norm[seen], distorted, lens)
    return norm


def _numbers(camera: Camera) -> F64:
    """(12,) the lens, see `projection.py`."""
    lens = np.zeros(12)
    lens[:4] = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    lens[4 : 4 + camera.dist.size] = camera.dist
    return lens


def to_rays(camera: Camera, points_px: F64) -> F64:
    """Directions in the world through pixels.

    Args:
        camera: the camera.
        points_px: (N, 2) distorted calibrated pixels; NaN rows stay NaN.

    Returns:
        (N, 3) unit vectors in the world frame.
    """
    norm = undistort(camera, points_px)
    rays_cam = np.concatenate([norm, np.ones((len(norm), 1))], axis=1)  # (N, 3)
    rays_world = rays_cam @ camera.cam_from_world[:3, :3]
    return np.asarray(rays_world / np.linalg.norm(rays_world, axis=1, keepdims=True))


def calibrated_from_frame(camera: Camera, points_px: F64) -> F64:
    """Calibrated pixels of pixels in a frame as it is posted (see `Source`), (N, 2) each."""
    return np.asarray(points_px * camera.source.scale + np.asarray(camera.source.offset_px))


def frame_from_calibrated(camera: Camera, points_px: F64) -> F64:
    """Pixels in a posted frame of calibrated pixels, (N, 2) each."""
    return np.asarray((points_px - np.asarray(camera.source.offset_px)) / camera.source.scale)
