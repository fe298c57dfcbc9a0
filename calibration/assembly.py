"""The rig as it is handed out, built from the final estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from .camera import F64, Camera, Source
from .errors import BoardNotFound
from .footage import Footage
from .quality import CameraFigures
from .refinement import Refined
from .rig import Rig, Stereo
from .stereo import stereo_from
from .transforms import inverse, transform
from .views import Sightings


def build_cameras(
    refined: Refined,
    figures: Mapping[str, CameraFigures],
    footage: Footage,
    sightings: Sightings,
) -> tuple[Camera, ...]:
    """The cameras, in the world of the reference camera."""
    estimate = refined.fit.estimate
    sources: dict[str, Source] = {}
    for clip in footage.intrinsics + footage.clips:  # the rig's own footage has the last word
        sources[clip.camera] = clip.cut_from
    cameras = []
    for index, name in enumerate(refined.problem.cameras):
        K, dist = estimate.lens(index)
        cameras.append(
            Camera(
                name=name,
                size_px=sightings.sizes_px[name],
                K=K,
                dist=dist,
                cam_from_world=_rigid(estimate.cam_from_world[index]),
                model="fisheye" if estimate.model(index) == "fisheye" else "pinhole",
                source=sources.get(name, Source()),
                sigma=figures[name].sigma,
                quality=figures[name].quality,
            )
        )
    return tuple(cameras)


def build_stereo(cameras: tuple[Camera, ...], refined: Refined) -> Stereo:
    """The two cameras of a rig as a stereo pair, the first one left."""
    problem = refined.problem
    pairs = []
    for index in range(len(problem.boards)):
        members = np.flatnonzero(problem.board_of == index)
        if len(members) != 2:
            continue
        left, right = sorted(members, key=lambda row: problem.camera_of[row])
        both, in_left, in_right = np.intersect1d(
            problem.views[left].ids, problem.views[right].ids, return_indices=True
        )
        used = problem.used[left, in_left] & problem.used[right, in_right]
        if len(both) and used.any():
            pairs.append(
                (
                    problem.views[left].corners_px[in_left[used]],
                    problem.views[right].corners_px[in_right[used]],
                )
            )
    return stereo_from(cameras[0], cameras[1], pairs)


def settle_world(
    rig: Rig,
    refined: Refined,
    world: Literal["reference", "board", "floor"],
    moment: str | None,
) -> Rig:
    """The rig in the world that was asked for.

    `board` and `floor` put the origin at the first inner corner of one moment's board, x along its
    columns and z up, out of the print; `floor` says that this board lay on the floor.

    Raises:
        BoardNotFound: no board was seen at that moment.
    """
    if world == "reference":
        return rig
    reference_from_board = _world_board(refined, moment)
    # The board's own z points into it; turned about x, z points up and y with it.
    up = np.diag([1.0, -1.0, -1.0, 1.0])
    world_from_reference = inverse(reference_from_board @ up)
    cameras = tuple(
        replace(
            camera,
            cam_from_world=_rigid(camera.cam_from_world @ inverse(world_from_reference)),
        )
        for camera in rig.cameras
    )
    return replace(rig, cameras=cameras, world=world)


def _world_board(refined: Refined, moment: str | None) -> F64:
    problem = refined.problem
    counts = np.bincount(problem.board_of, minlength=len(problem.boards))
    shared = [i for i, key in enumerate(problem.boards) if key[0] == "moment"]
    if moment is not None:
        shared = [i for i in shared if problem.boards[i][1] == moment]
    if not shared:
        raise BoardNotFound(
            f"no usable board was seen at moment {moment!r}, which is to be the world; "
            "name a moment whose picture shows the board in two cameras, or none",
            field="/world_moment",
        )
    best = max(shared, key=lambda i: int(counts[i]))
    pose = refined.fit.estimate.boards[best]
    if counts[best] == 1:
        row = int(np.flatnonzero(problem.board_of == best)[0])
        camera = refined.fit.estimate.cam_from_world[problem.camera_of[row]]
        return np.asarray(inverse(camera) @ pose)
    return np.asarray(pose)


def _rigid(T: F64) -> F64:
    """The nearest rigid transform: many small steps leave 1e-15 of scale."""
    u, _, vt = np.linalg.svd(T[:3, :3])
    return transform(u @ vt, T[:3, 3])
