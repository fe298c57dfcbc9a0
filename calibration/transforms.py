"""Rigid transforms `dest_from_source`, 4x4, one or many."""

from __future__ import annotations

import cv2
import numpy as np

from .camera import F64


def rotation_from_vector(vectors: F64) -> F64:
    """(..., 3, 3) rotations by (..., 3) rotation vectors (Rodrigues), exact near zero."""
    angle2 = np.sum(vectors * vectors, axis=-1)[..., None, None]
    angle = np.sqrt(angle2)
    small = angle2 < 1e-12
    safe = np.where(small, 1.0, angle)
    a = np.where(small, 1.0 - angle2 / 6.0, np.sin(safe) / safe)
    b = np.where(small, 0.5 - angle2 / 24.0, (1.0 - np.cos(safe)) / (safe * safe))
    S = skew(vectors)
    return np.asarray(np.eye(3) + a * S + b * (S @ S))


def skew(vectors: F64) -> F64:
    """(..., 3, 3) matrices S with `S @ x = cross(vector, x)`."""
    S = np.zeros((*vectors.shape[:-1], 3, 3))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    S[..., 0, 1], S[..., 0, 2], S[..., 1, 2] = -z, y, -x
    S[..., 1, 0], S[..., 2, 0], S[..., 2, 1] = z, -y, x
    return S


def transform(R: F64, t: F64) -> F64:
    """(..., 4, 4) from rotation (..., 3, 3) and translation (..., 3)."""
    T = np.zeros((*np.shape(R)[:-2], 4, 4))
    T[..., :3, :3] = R
    T[..., :3, 3] = t
    T[..., 3, 3] = 1.0
    return T


def from_rvec(rvec: F64, tvec: F64) -> F64:
    """(4, 4) of OpenCV's rotation vector and translation."""
    R, _ = cv2.Rodrigues(np.asarray(rvec, dtype=np.float64).reshape(3))
    return transform(np.asarray(R, dtype=np.float64), np.asarray(tvec, dtype=np.float64).reshape(3))


def inverse(T: F64) -> F64:
    """(..., 4, 4) the other way round."""
    R = np.swapaxes(T[..., :3, :3], -1, -2)
    return transform(R, -(R @ T[..., :3, 3:])[..., 0])


def updated(T: F64, step: F64) -> F64:
    """(..., 4, 4) turned by exp(step[:3]) on the left of its rotation, and moved by step[3:].

    The update is local: global rotation vectors flip at pi, where cameras face each other.
    """
    R = rotation_from_vector(step[..., :3]) @ T[..., :3, :3]
    return transform(R, T[..., :3, 3] + step[..., 3:])


def angle_rad(R: F64) -> F64:
    """(...,) how far rotations turn."""
    # From the skew part too: the trace alone loses half the digits near zero.
    axis = np.stack(
        [R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]],
        axis=-1,
    )
    sine = np.linalg.norm(axis, axis=-1) / 2.0
    cosine = (np.trace(R, axis1=-2, axis2=-1) - 1.0) / 2.0
    return np.asarray(np.arctan2(sine, cosine))
