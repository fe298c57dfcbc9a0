"""Whether a rig's cameras stand where they were calibrated, by new boards or by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from calibration.board import Board
from calibration.camera import calibrated_from_frame
from calibration.drift import Drift, check_rig
from calibration.drift_joints import Joints, check_rig_by_joints
from calibration.prepare import footage_from_dir
from calibration.rig import Rig
from calibration.views import find_boards
from capture.people import Frame

from .errors import BadValue

__all__ = ["check_by_boards", "check_by_people", "drifts_to_json", "joints_of"]


def check_by_boards(rig: Rig, folder: Path, board: Board, workers: int = 1) -> tuple[Drift, ...]:
    """By footage of a board, a folder or video per camera.

    Raises:
        BadValue: the footage is of none of the rig's cameras.
        CalibrationError: footage that cannot be read, or says too little.
    """
    footage = footage_from_dir(folder)
    strangers = sorted(set(footage.cameras) - set(rig.names))
    if strangers:
        raise BadValue(
            f"the footage is of {', '.join(footage.cameras)}, rig {rig.name!r} has "
            f"{', '.join(rig.names)}; name the footage as the rig's cameras",
            field=f"/{strangers[0]}",
        )
    return check_rig(rig, find_boards(footage, board, workers=workers).views, board)


def check_by_people(rig: Rig, frames: Sequence[Frame]) -> tuple[Drift, ...]:
    """By the people of a take that this rig filmed.

    Raises:
        TooFewViews: nobody was seen by two cameras for long enough.
    """
    return check_rig_by_joints(rig, joints_of(rig, frames))


def joints_of(rig: Rig, frames: Sequence[Frame]) -> Joints:
    """Every joint of everybody, as each camera of the rig saw it; two views of it at least."""
    rows, moments = [], []
    for moment, frame in enumerate(frames):
        for person in frame.people:
            count = len(person.positions)
            seen = np.full((count, len(rig.cameras), 2), np.nan)
            for index, camera in enumerate(rig.cameras):
                sighting = person.sightings.get(camera.name)
                # Left and right of it are in doubt, and one doubt is enough to leave it out.
                if sighting is None or camera.name in person.swapped:
                    continue
                seen[:, index] = calibrated_from_frame(camera, sighting.joints_px)
            useful = np.isfinite(seen).all(axis=-1).sum(axis=1) >= 2
            rows.append(seen[useful])
            moments.append(np.full(int(useful.sum()), moment, dtype=np.int64))
    if not rows:
        return Joints(np.empty((0, len(rig.cameras), 2)), np.empty(0, dtype=np.int64))
    return Joints(np.concatenate(rows), np.concatenate(moments))


def drifts_to_json(drifts: Sequence[Drift]) -> dict[str, Any]:
    """Who has moved, and every camera's figures."""
    return {
        "moved": [drift.camera for drift in drifts if drift.moved],
        "cameras": [asdict(drift) for drift in drifts],
    }
