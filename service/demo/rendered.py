"""The demonstration on rendered footage, whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from calibration.rig import Rig
from capture.people import Frame

from ..commands.screen import Step
from ..videos import FrameSet
from .scene import RATE_HZ, board_poses, people_at, truth_rig
from .scene_pictures import Studio, picture_of_board, picture_of_people, studio

__all__ = ["Error", "error_against_truth", "film", "render_boards", "studios"]

F64 = NDArray[np.float64]
SAME_PERSON_M = 0.5  # farther from everybody in the scene, a person was made up
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Error:
    """A take and its rig against the truth."""

    camera_mm: float  # farthest camera centre from where it stands, seen from the reference
    joint_median_mm: float | None  # None: nobody was found
    joint_mean_mm: float | None
    share_found: float  # of the people in the scene, counted over frames
    made_up: int  # people, counted over frames, that are nobody


def studios() -> dict[str, Studio]:
    """The empty room from every camera."""
    cameras = truth_rig().cameras
    return {camera.name: studio(camera, seed) for seed, camera in enumerate(cameras)}


def render_boards(rooms: Mapping[str, Studio], folder: Path, step: Step) -> dict[str, list[Path]]:
    """Pictures of a board held in the room, `folder/CAMERA/MOMENT.jpg`, by camera."""
    written: dict[str, list[Path]] = {name: [] for name in rooms}
    poses = board_poses()
    for moment, pose in enumerate(poses):
        for name, room in rooms.items():
            picture = picture_of_board(room, pose, moment)
            if picture is None:
                continue
            path = folder / name / f"{moment:03d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            written[name].append(path)
        step(moment + 1, len(poses))
    return written


def film(rooms: Mapping[str, Studio], frames: int, first: int = 0) -> Iterator[FrameSet]:
    """People walking through the room: so many frame sets, from the first on."""
    for sequence in range(first, first + frames):
        bodies = people_at(sequence / RATE_HZ)
        images = {name: picture_of_people(room, bodies, sequence) for name, room in rooms.items()}
        yield FrameSet(round(sequence * 1e9 / RATE_HZ), images)


def error_against_truth(frames: Sequence[Frame], rig: Rig) -> Error:
    """How far joints and cameras are from where they are, both seen from the reference camera.

    The rig's world is its own, so it is laid on the true one by the reference camera alone: an
    error of the calibration is an error of the joints here, as it would be on a stage.
    """
    truth = truth_rig()
    reference = truth.camera(rig.reference)
    truth_from_rig = (
        np.linalg.inv(reference.cam_from_world) @ rig.camera(rig.reference).cam_from_world
    )
    centers = [_moved(truth_from_rig, camera.center_world[None])[0] for camera in rig.cameras]
    apart = [
        float(np.linalg.norm(center - truth.camera(camera.name).center_world))
        for center, camera in zip(centers, rig.cameras, strict=True)
    ]
    distances: list[F64] = []
    there = found = made_up = 0
    for frame in frames:
        bodies = people_at(frame.timestamp_ns * 1e-9)
        there += len(bodies)
        errors = _distances(frame, [body.joints for body in bodies], truth_from_rig)
        mean = np.array([[np.nanmean(one) for one in row] for row in errors]).reshape(
            len(errors), len(bodies)
        )
        rows, columns = linear_sum_assignment(mean)
        matched = [(r, c) for r, c in zip(rows, columns, strict=True) if mean[r, c] < SAME_PERSON_M]
        found += len(matched)
        made_up += len(errors) - len(matched)
        distances += [errors[r][c][np.isfinite(errors[r][c])] for r, c in matched]
    all_m = np.concatenate(distances) if distances else np.empty(0)
    return Error(
        camera_mm=1e3 * max(apart),
        joint_median_mm=1e3 * float(np.median(all_m)) if all_m.size else None,
        joint_mean_mm=1e3 * float(all_m.mean()) if all_m.size else None,
        share_found=found / there,
        made_up=made_up,
    )


def _distances(frame: Frame, truth: Sequence[F64], truth_from_rig: F64) -> list[list[F64]]:
    """Per person found and person there: (17,) distances in metres, NaN without a position."""
    return [
        [
            np.linalg.norm(_moved(truth_from_rig, person.positions) - joints, axis=1)
            for joints in truth
        ]
        for person in frame.people
        if np.isfinite(person.positions).any()
    ]


def _moved(transform: F64, points: F64) -> F64:
    return np.asarray(points @ transform[:3, :3].T + transform[:3, 3])
