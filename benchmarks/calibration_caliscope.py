"""caliscope as a peer, in an environment of its own (`pip install caliscope`).

Its one-call calibration with its own defaults: from OpenCV's lenses, which it refines, and the
board's distances; it leaves out the worst 2.5 % of the corners itself. Corners become its points by
board and row. This file is the script that runs there.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import cv2
import numpy as np


def main(given: str, found: str) -> None:
    """Runs where caliscope is; see `other_python.solve` for what is in the files."""
    import pandas as pd
    from caliscope.api import (
        CameraArray,
        CameraData,
        Chessboard,
        ConstraintSet,
        calibrate_extrinsics,
    )
    from caliscope.core.point_data import ImagePoints

    with np.load(given) as content:
        problem = dict(content)
    width, height = (int(side) for side in problem["size_px"])
    cameras = {}
    for index, (fx, fy, cx, cy, *dist) in enumerate(problem["intrinsics"]):
        camera = CameraData.from_intrinsics(
            index, (width, height), fx=fx, fy=fy, cx=cx, cy=cy, distortions=np.array(dist)
        )
        cameras[index] = camera
    pixels, indices = problem["pixels"], problem["indices"]
    down, across = np.indices(pixels.shape[1:3])
    side = float(problem["square_m"])
    tables = []
    for grid, (board, camera) in zip(pixels, indices, strict=True):
        if (indices[:, 0] == board).sum() < 2:
            continue  # a close-up; its optimizer has no use for what one camera sees
        tables.append(
            pd.DataFrame(
                {
                    "sync_index": int(board),
                    "cam_id": int(camera),
                    "object_id": 0,
                    "keypoint_id": np.arange(down.size),
                    "img_loc_x": grid[..., 0].ravel(),
                    "img_loc_y": grid[..., 1].ravel(),
                    "obj_loc_x": side * across.ravel(),
                    "obj_loc_y": side * down.ravel(),
                    "obj_loc_z": 0.0,
                }
            )
        )
    points = ImagePoints(pd.concat(tables, ignore_index=True))
    start = time.process_time()
    target = Chessboard(rows=pixels.shape[1], columns=pixels.shape[2], square_size_cm=100 * side)
    constraints = ConstraintSet.from_chessboard(target)
    volume = calibrate_extrinsics(points, CameraArray(cameras), constraints).capture_volume
    seconds = time.process_time() - start
    posed = volume.camera_array.cameras
    lenses, poses = [], []
    first = _pose(posed[0])
    for index in range(len(cameras)):
        K, dist = posed[index].matrix, np.asarray(posed[index].distortions).reshape(-1)
        lenses.append([K[0, 0], K[1, 1], K[0, 2], K[1, 2], *dist[:5]])
        in_first = _pose(posed[index]) @ np.linalg.inv(first)
        rvec = cv2.Rodrigues(in_first[:3, :3])[0].reshape(3)
        poses.append(np.concatenate([rvec, in_first[:3, 3]]))
    np.savez(
        found,
        seconds=seconds,
        intrinsics=np.array(lenses),
        poses=np.stack(poses),
        rms_px=float(volume.reprojection_report.overall_rmse),
    )


def _pose(camera: Any) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = camera.rotation
    pose[:3, 3] = np.asarray(camera.translation).reshape(3)
    return pose


if __name__ == "__main__":
    main(*sys.argv[1:])
