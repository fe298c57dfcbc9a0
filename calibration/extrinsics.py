"""Where the cameras stand to one another, before the joint refinement.

Every shared moment of a pair gives relative poses; the one that most moments agree with is the
pair's. The pairs with most agreement make a spanning tree from the reference camera.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .board import Board
from .camera import F64
from .errors import Unconnected
from .intrinsics import Lens
from .transforms import inverse

logger = logging.getLogger(__name__)

# Two moments agree when the board's corners land this close, as a share of the board in the
# picture plus this many pixels: the pose of a small board is loose in depth and tilt.
AGREE_SHARE = 0.02
AGREE_PX = 2.0

# (camera, moment) -> candidate cam_from_board, best first
Poses = Mapping[tuple[str, str], Sequence[F64]]


@dataclass(frozen=True, slots=True)
class Edge:
    """Two cameras that saw the board at the same moments."""

    first: str
    second: str
    moments: int
    agreeing: int
    second_from_first: F64  # (4, 4)
    strength: float  # moments that agree, each counted by how well


def connect(
    poses: Poses, lenses: Mapping[str, Lens], board: Board, reference: str
) -> tuple[dict[str, F64], tuple[Edge, ...]]:
    """`cam_from_reference` of every camera, and all pairs.

    Args:
        poses: candidate board poses of the shared views.
        lenses: the cameras.
        board: the board.
        reference: the camera that is the origin.

    Raises:
        Unconnected: some cameras share no moment with the others.
    """
    names = list(lenses)
    edges = []
    for first, second in itertools.combinations(names, 2):
        edge = tie(first, second, poses, lenses, board)
        if edge is not None:
            edges.append(edge)
    cam_from_reference = {reference: np.eye(4)}
    while len(cam_from_reference) < len(names):
        reachable = [
            edge
            for edge in edges
            if (edge.first in cam_from_reference) != (edge.second in cam_from_reference)
        ]
        if not reachable:
            raise _unconnected(names, edges)
        best = max(reachable, key=lambda edge: edge.strength)  # Prim's maximum spanning tree
        if best.first in cam_from_reference:
            known, new, step = best.first, best.second, best.second_from_first
        else:
            known, new, step = best.second, best.first, inverse(best.second_from_first)
        cam_from_reference[new] = step @ cam_from_reference[known]
        logger.debug("%s hangs on %s by %d moments", new, known, best.agreeing)
    return {name: cam_from_reference[name] for name in names}, tuple(edges)


def board_in_reference(
    candidates: Sequence[tuple[str, Sequence[F64]]],
    cam_from_reference: Mapping[str, F64],
    lenses: Mapping[str, Lens],
    board: Board,
) -> F64:
    """`reference_from_board` of one moment: the candidate that its views agree with most."""
    options = [
        inverse(cam_from_reference[name]) @ pose for name, poses in candidates for pose in poses
    ]
    if len(candidates) == 1:
        return options[0]
    stack = np.stack(options)  # (K, 4, 4)
    score = np.zeros(len(options))
    for name, poses in candidates:
        score += pose_agreement(cam_from_reference[name] @ stack, poses, lenses[name], board)
    return options[int(np.argmax(score))]


def tie(
    first: str, second: str, poses: Poses, lenses: Mapping[str, Lens], board: Board
) -> Edge | None:
    """The relative pose that most moments of a pair agree with; None if they share no moment."""
    moments = [m for (name, m) in poses if name == first and (second, m) in poses]
    if not moments:
        return None
    options = [
        in_second @ inverse(in_first)
        for moment in moments
        for in_first in poses[first, moment]
        for in_second in poses[second, moment]
    ]
    stack = np.stack(options)  # (K, 4, 4)
    agreement = np.zeros((len(options), len(moments)))
    for column, moment in enumerate(moments):
        best = np.zeros(len(options))
        for in_first in poses[first, moment]:
            predicted = stack @ in_first
            agree = pose_agreement(predicted, poses[second, moment], lenses[second], board)
            best = np.maximum(best, agree)
        agreement[:, column] = best
    strength = agreement.sum(axis=1)
    winner = int(np.argmax(strength))
    agreeing = int(np.count_nonzero(agreement[winner] > 0.5))
    return Edge(first, second, len(moments), agreeing, options[winner], float(strength[winner]))


def pose_agreement(cam_from_board: F64, observed: Sequence[F64], lens: Lens, board: Board) -> F64:
    """(K,) how well predicted poses (K, 4, 4) agree with the nearest observed one, 1 to 0.

    Compared where the board's outline lands in undistorted pixels: the lens cancels.
    """
    outline = _outline(board)
    focal = (lens.K[0, 0] + lens.K[1, 1]) / 2.0
    predicted = _flat(cam_from_board @ outline, focal)  # (K, 4, 2)
    seen = _flat(np.stack(observed) @ outline, focal)  # (P, 4, 2)
    off = np.linalg.norm(predicted[:, None] - seen[None], axis=-1).max(axis=-1).min(axis=1)
    size = float(np.linalg.norm(np.ptp(seen[0], axis=0)))
    return np.asarray(1.0 / (1.0 + (off / (AGREE_SHARE * size + AGREE_PX)) ** 2))


def _flat(points_cam: F64, focal: float) -> F64:
    """(..., 4, 2) pixels of (..., 4, 4) homogeneous columns; far away when behind the camera."""
    z = points_cam[..., 2, :]
    front = z > 1e-6
    pixels = focal * points_cam[..., :2, :] / np.where(front, z, 1.0)[..., None, :]
    pixels = np.where(front[..., None, :], pixels, 1e9)
    return np.swapaxes(pixels, -1, -2)


def _outline(board: Board) -> F64:
    """(4, 4) the board's outer corners as homogeneous columns."""
    columns, rows = board.inner_corners
    points = board.points_board.reshape(rows, columns, 3)
    corners = points[[0, 0, -1, -1], [0, -1, 0, -1]]
    return np.vstack([corners.T, np.ones(4)])


def _unconnected(names: Sequence[str], edges: Sequence[Edge]) -> Unconnected:
    groups: list[set[str]] = [{name} for name in names]
    for edge in edges:
        joined = [group for group in groups if edge.first in group or edge.second in group]
        groups = [group for group in groups if group not in joined] + [set().union(*joined)]
    groups.sort(key=lambda group: (-len(group), sorted(group)))
    listed = " | ".join(", ".join(sorted(group)) for group in groups)
    return Unconnected(
        f"the cameras fall into {len(groups)} groups that never see the board at the same moment: "
        f"{listed}; film the board where a camera of one group and a camera of the next both see "
        "it whole, and check that pictures of one moment have the same file name",
        camera=sorted(groups[-1])[0],
    )
