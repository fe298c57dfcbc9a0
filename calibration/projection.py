"""The twelve numbers of a lens of any model, and points through it.

A lens is one of three models, told by the count of its coefficients: `pinhole5` and `pinhole8` (see
`pinhole.py`) and `fisheye` with four (see `fisheye.py`). All fit in twelve numbers; what a model
has not is zero and stays so.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from . import fisheye, pinhole
from .pinhole import F64

LensModel = Literal["pinhole5", "pinhole8", "fisheye"]
MODELS: tuple[LensModel, ...] = ("pinhole5", "pinhole8", "fisheye")

N_INTRINSICS = 12
COEFFICIENTS: dict[LensModel, int] = {"pinhole5": 5, "pinhole8": 8, "fisheye": 4}
_PINHOLE_NAMES = ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_FISHEYE_NAMES = ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4")
# The terms that every view of a board shows, in each model: k1 and k2.
SHORT_COEFFICIENTS = 2


def names_of(model: LensModel) -> tuple[str, ...]:
    """What the first of the twelve numbers are called; the rest are not of this model."""
    names = _FISHEYE_NAMES if model == "fisheye" else _PINHOLE_NAMES
    return names[: 4 + COEFFICIENTS[model]]


def model_of(dist: F64) -> LensModel:
    """The model of a lens with these coefficients: (5,) and (8,) pinhole, (4,) fisheye."""
    for model, count in COEFFICIENTS.items():
        if dist.size == count:
            return model
    raise AssertionError(f"no lens has {dist.size} coefficients")


def pack(K: F64, dist: F64) -> F64:
    """(12,) `fx fy cx cy` and the coefficients, zero where there are fewer than eight."""
    lens = np.zeros(N_INTRINSICS)
    lens[:4] = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    lens[4 : 4 + dist.size] = dist.reshape(-1)
    return lens


def unpack(intrinsics: F64, model: LensModel = "pinhole5") -> tuple[F64, F64]:
    """K (3, 3) and dist, as many coefficients as the model has, of twelve numbers."""
    fx, fy, cx, cy = intrinsics[:4]
    K = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    return K, intrinsics[4 : 4 + COEFFICIENTS[model]].copy()


def project(points_cam: F64, intrinsics: F64, model: LensModel = "pinhole5") -> F64:
    """(N, 2) distorted pixels of (N, 3) points in the camera's frame, through a lens (12,)."""
    return np.asarray(project_views(points_cam[None], intrinsics[None], model)[0].T)


def project_with_derivatives(
    points_cam: F64, intrinsics: F64, model: LensModel = "pinhole5"
) -> tuple[F64, F64, F64]:
    """Pixels and how they change.

    Args:
        points_cam: (N, 3) points in the camera's frame.
        intrinsics: (12,) the lens.
        model: what the numbers mean.

    Returns:
        (N, 2) pixels, (N, 2, 3) by the point, (N, 2, 12) by the intrinsics.
    """
    pixels, by_point, by_lens = differentiate_views(points_cam[None], intrinsics[None], model)
    return pixels[0].T, by_point[0].transpose(2, 1, 0), by_lens[0].transpose(2, 1, 0)


def project_views(points_cam: F64, lens: F64, model: LensModel) -> F64:
    """(V, 2, N) distorted pixels of (V, N, 3) points under lenses (V, 12) of one model."""
    if model == "fisheye":
        return fisheye.project(points_cam, lens)
    return pinhole.project(points_cam, lens)


def differentiate_views(points_cam: F64, lens: F64, model: LensModel) -> tuple[F64, F64, F64]:
    """(V, 2, N) pixels, (V, 3, 2, N) by the point and (V, 12, 2, N) by the lens; as above."""
    if model == "fisheye":
        return fisheye.project_with_derivatives(points_cam, lens)
    return pinhole.project_with_derivatives(points_cam, lens)


def turns_back(K: F64, dist: F64, size_px: tuple[int, int]) -> bool:
    """Whether the lens folds inside the picture: two directions then share a pixel there.

    Args:
        K: (3, 3).
        dist: coefficients of any model.
        size_px: (width, height).
    """
    width, height = size_px
    corner = max(
        math.hypot((x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1])
        for x in (0, width - 1)
        for y in (0, height - 1)
    )
    if model_of(dist) == "fisheye":
        angle = fisheye.reach_rad(dist)
        return angle < math.pi and corner > fisheye.distorted_angle(angle, dist)
    reach = pinhole.reach_norm(dist)
    if math.isinf(reach):
        return False
    # Just short of the fold: at a pole of the rational model the pixel is infinitely far out.
    edge = np.array([[reach * (1.0 - 1e-9), 0.0, 1.0]])
    straight = np.eye(3)
    radial = dist.copy()
    radial[2:4] = 0.0
    folded = project(edge, pack(straight, radial), model_of(dist))
    return bool(corner > abs(float(folded[0, 0])))
