"""Worlds whose truth is known: a ring of cameras, walking people, and what detectors make of them.

Everything follows from its arguments and a seed. Lengths are metres, z is up, the floor is z = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.camera import F64, Camera, project
from calibration.rig import Rig
from models.sighting import Sighting

JOINTS = 17
# COCO-17 pairs (left, right), the nose alone.
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
FALSE_PERSON = -1


@dataclass(frozen=True, slots=True)
class Noise:
    """What a detector does to the truth."""

    pixel: float = 3.0  # one sigma per axis
    missed: float = 0.2  # share of joints not found
    outliers: float = 0.05  # share of joints that are 40 to 200 px off
    swapped: float = 0.0  # share of sightings with left and right exchanged
    missed_people: float = 0.0  # share of sightings that are missing altogether
    false_people: float = 0.0  # invented people per view and frame


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame set: what each camera's detector says, and whom it really shows."""

    sightings: dict[str, list[Sighting]]
    owners: dict[str, list[int]]  # index of the person, or FALSE_PERSON


def ring_rig(
    cameras: int = 4,
    *,
    radius_m: float = 5.0,
    height_m: float = 2.2,
    size_px: tuple[int, int] = (1920, 1080),
    focal_px: float = 1400.0,
    dist: Sequence[float] = (-0.08, 0.05, 0.0005, -0.0003, 0.0),
) -> Rig:
    """Cameras around the origin, all looking at a point one metre above it."""
    made = []
    for number in range(cameras):
        angle = 2 * np.pi * (number + 0.13) / cameras
        center = np.array([radius_m * np.cos(angle), radius_m * np.sin(angle), height_m])
        made.append(
            camera_at(f"cam{number}", center, np.array([0, 0, 1.0]), size_px, focal_px, dist)
        )
    kind = {2: "stereo", 4: "quad"}.get(cameras, "multi")
    return Rig(f"ring{cameras}", kind, "cam0", "floor", tuple(made))  # type: ignore[arg-type]


def stereo_rig(baseline_m: float = 0.6, distance_m: float = 4.0) -> Rig:
    """Two cameras side by side that look along +y at the height of a chest."""
    made = []
    for number, x in enumerate((-baseline_m / 2, baseline_m / 2)):
        center = np.array([x, -distance_m, 1.2])
        target = np.array([0.0, 0.0, 1.0])
        made.append(camera_at(f"cam{number}", center, target, (1920, 1080), 1400.0, (0.0,) * 5))
    return Rig("stereo", "stereo", "cam0", "floor", tuple(made))


def camera_at(
    name: str,
    center: F64,
    target: F64,
    size_px: tuple[int, int],
    focal_px: float,
    dist: Sequence[float],
) -> Camera:
    """A camera at a place, level, looking at a target."""
    forward = (target - center) / np.linalg.norm(target - center)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = R, -R @ center
    K = np.array(
        [[focal_px, 0, (size_px[0] - 1) / 2], [0, focal_px, (size_px[1] - 1) / 2], [0, 0, 1.0]]
    )
    return Camera(name, size_px, K, np.array(dist, dtype=np.float64), pose)


def walkers(
    people: int, seconds: float, rate_hz: float = 30.0, *, area_m: float = 1.8, seed: int = 0
) -> F64:
    """(frames, people, 17, 3) people of different build who keep walking through the middle."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.stack([_walker(time, rng, area_m) for _ in range(people)], axis=1)


def _walker(time: F64, rng: np.random.Generator, area_m: float) -> F64:
    """(frames, 17, 3) one person on a Lissajous path."""
    rates = rng.uniform(0.35, 0.6, 2) * rng.choice([-1, 1], 2)  # rad/s; up to 1.1 m/s each way
    phase = rng.uniform(0, 2 * np.pi, 2)
    reach = rng.uniform(0.6, 1.0, 2) * area_m
    path = reach * np.sin(np.outer(time, rates) + phase)  # (frames, 2)
    velocity = reach * rates * np.cos(np.outer(time, rates) + phase)
    speed = np.linalg.norm(velocity, axis=1)
    heading = np.unwrap(np.arctan2(velocity[:, 1], velocity[:, 0]))
    # Turns on the spot at the ends of a path are smoothed as a person would.
    width = max(3, len(time) // 60 | 1)
    heading = np.convolve(np.pad(heading, width // 2, mode="edge"), np.ones(width) / width, "valid")
    stature = rng.normal(1.0, 0.05)
    steps = rng.uniform(0, 2 * np.pi) + np.cumsum(speed / (0.72 * stature)) * np.pi * np.gradient(
        time
    )
    body = gait(steps, np.clip(speed / 1.2, 0.15, 1.0), stature * rng.normal(1.0, 0.04, 5))
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
    forward, left = body[:, :, 0], body[:, :, 1]
    world = np.stack(
        [forward * cos - left * sin, forward * sin + left * cos, body[:, :, 2]], axis=2
    )
    world[:, :, :2] += path[:, None]
    return np.asarray(world)


def gait(phase: F64, swing: F64, build: F64) -> F64:
    """(frames, 17, 3) a walking body, x forward, y left, z up, feet near the floor.

    Args:
        phase: (frames,) radians, one turn for two steps.
        swing: (frames,) 0 standing to 1 walking briskly.
        build: (5,) scale of thighs, shanks, trunk, arms and widths; 1 is a body of 1.75 m.
    """
    thigh, shank = 0.42 * build[0], 0.42 * build[1]
    trunk, upper, fore = 0.50 * build[2], 0.29 * build[3], 0.26 * build[3]
    hip, shoulder = 0.10 * build[4], 0.18 * build[4]
    zero = np.zeros_like(phase)

    def point(x: F64 | float, y: F64 | float, z: F64 | float) -> F64:
        return np.stack([zero + x, zero + y, zero + z], axis=1)

    pelvis = thigh + shank + 0.06 + 0.015 * swing * np.cos(2 * phase)
    lean = 0.05
    chest = pelvis + trunk
    body = np.zeros((len(phase), JOINTS, 3))
    body[:, 0] = point(lean + 0.12, 0, chest + 0.20)
    for side, sign in ((1, 1.0), (2, -1.0)):  # left, right
        leg = phase + (0 if sign > 0 else np.pi)
        hip_angle = 0.45 * swing * np.sin(leg)
        knee_angle = 0.08 + 0.6 * swing * np.clip(np.sin(leg + 1.2), 0, None) ** 2
        knee = point(thigh * np.sin(hip_angle), sign * hip, pelvis - thigh * np.cos(hip_angle))
        below = hip_angle - knee_angle
        arm = -0.4 * swing * np.sin(leg)
        elbow_angle = arm + 0.3 + 0.2 * swing
        elbow = point(
            lean + upper * np.sin(arm), sign * (shoulder + 0.04), chest - upper * np.cos(arm)
        )
        body[:, side] = point(lean + 0.09, sign * 0.03, chest + 0.23)
        body[:, side + 2] = point(lean + 0.01, sign * 0.075, chest + 0.21)
        body[:, side + 4] = point(lean, sign * shoulder, chest)
        body[:, side + 6] = elbow
        body[:, side + 8] = elbow + fore * point(np.sin(elbow_angle), 0, -np.cos(elbow_angle))
        body[:, side + 10] = point(0, sign * hip, pelvis)
        body[:, side + 12] = knee
        body[:, side + 14] = knee + shank * point(np.sin(below), 0, -np.cos(below))
    return body


def detect(rig: Rig, truth: F64, noise: Noise | None = None, *, seed: int = 1) -> list[Seen]:
    """What a detector with these faults says in every frame set.

    Args:
        rig: the cameras.
        truth: (frames, people, 17, 3) metres.
        noise: the detector's faults.
        seed: of the faults.
    """
    noise, rng = noise or Noise(), np.random.default_rng(seed)
    frames, people = truth.shape[:2]
    pixels = {camera.name: _spoil(camera, truth, noise, rng) for camera in rig.cameras}
    result = []
    for frame in range(frames):
        sightings: dict[str, list[Sighting]] = {}
        owners: dict[str, list[int]] = {}
        for camera in rig.cameras:
            joints, scores = pixels[camera.name]
            who = [p for p in range(people) if rng.random() >= noise.missed_people]
            found = [_sighting(joints[frame, p], scores[frame, p]) for p in who]
            for _ in range(rng.poisson(noise.false_people)):
                found.append(_invented(camera, joints[frame], rng))
                who.append(FALSE_PERSON)
            # A detector's order says nothing.
            order = [i for i in rng.permutation(len(found)) if found[i].scores.any()]
            sightings[camera.name] = [found[i] for i in order]
            owners[camera.name] = [who[i] for i in order]
        result.append(Seen(sightings, owners))
    return result


def _spoil(camera: Camera, truth: F64, noise: Noise, rng: np.random.Generator) -> tuple[F64, F64]:
    """(frames, people, 17, 2) pixels and (frames, people, 17) scores as a detector gives them."""
    shape = truth.shape[:3]
    joints = project(camera, truth.reshape(-1, 3)).reshape(*shape, 2)
    joints = joints + rng.normal(0, noise.pixel, joints.shape)
    scores = rng.uniform(0.5, 1.0, shape)
    off = rng.random(shape) < noise.outliers
    angle, distance = rng.uniform(0, 2 * np.pi, shape), rng.uniform(40, 200, shape)
    step = distance[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    joints = np.where(off[..., None], joints + step, joints)
    scores = np.where(off, rng.uniform(0.2, 0.8, shape), scores)
    swapped = rng.random(shape[:2]) < noise.swapped
    joints = np.where(swapped[..., None, None], joints[:, :, FLIP], joints)
    inside = ((joints > -0.5) & (joints < np.array(camera.size_px) - 0.5)).all(axis=-1)
    found = inside & (rng.random(shape) >= noise.missed)
    return np.where(found[..., None], joints, np.nan), np.where(found, scores, 0.0)


def _sighting(joints_px: F64, scores: F64) -> Sighting:
    seen = scores > 0
    score = float(scores[seen].mean()) if seen.any() else 0.0
    return Sighting(joints_px.copy(), scores.copy(), score, np.zeros(JOINTS, dtype=np.bool_))


def _invented(camera: Camera, joints_px: F64, rng: np.random.Generator) -> Sighting:
    """Somebody's outline where nobody is."""
    outline = joints_px[rng.integers(len(joints_px))]
    middle = np.nan_to_num(np.nanmean(outline, axis=0)) if np.isfinite(outline).any() else 0.0
    place = rng.uniform([100, 100], np.array(camera.size_px) - 100)
    moved = outline - middle + place
    scores = np.where(np.isfinite(moved[:, 0]), rng.uniform(0.2, 0.6, JOINTS), 0.0)
    return _sighting(moved, scores)
