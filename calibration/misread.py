"""Cameras whose every view is numbered from the other end, or whose driver mirrors its pictures.

View by view such a camera contradicts all others, so that it would fall off the rig. Its relative
pose to another camera, though, is the same at every moment once its views are put right: each pair
is tried both ways round, mirrored and turned, and the pairs that agree most make a tree. Of what
fits as well the other way about, the fewer cameras are the ones misread.

A board that only shows its back (printed as the mirror image) needs no such help: its corners lie
where the numbers say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .board import Board
from .board_pose import board_poses
from .camera import F64
from .contradiction import turned_by_half
from .errors import Unsolvable
from .extrinsics import Edge, tie
from .intrinsics import Lens
from .projection import model_of
from .views import Sightings, View

__all__ = ["Misread", "mirrored_lens", "mirrored_view", "misread", "put_right"]

# A pair is looked at when fewer of its moments agree than this, and is misread in the way in which
# more than the other share do.
DOUBTFUL, SURE = 0.4, 0.6
MIN_MOMENTS = 5

# (mirrored, turned) of one camera beside another.
Way = tuple[bool, bool]
_AS_IT_IS: Way = (False, False)
_WAYS: tuple[Way, ...] = (_AS_IT_IS, (False, True), (True, False), (True, True))


@dataclass(frozen=True, slots=True)
class Misread:
    """Cameras whose views were all put right before anything was solved."""

    mirrored: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()
    # Of two cameras nothing tells which is numbered from the other end; the rig is the same.
    either: bool = False

    def __bool__(self) -> bool:
        return bool(self.mirrored or self.turned)


def misread(
    sightings: Sightings, lenses: Mapping[str, Lens], board: Board, edges: Sequence[Edge]
) -> Misread:
    """Which cameras to put right; mostly none, which costs nothing.

    Args:
        sightings: the views.
        lenses: each camera's lens, of its pictures as they are.
        board: the board.
        edges: all pairs and how far they agree as the views are.

    Raises:
        Unsolvable: cameras are mirrored, and nothing tells which half of them.
    """
    if all(edge.agreeing >= DOUBTFUL * edge.moments for edge in edges):
        return Misread()
    ways = _ways_by_tree(sightings, lenses, board, edges)
    mirrored = [name for name, way in ways.items() if way[0]]
    if mirrored:
        mirrored = _those_mirrored(sightings, board, mirrored, list(ways))
    turned = _fewer([name for name, way in ways.items() if way[1]], list(ways))
    return Misread(tuple(mirrored), tuple(turned), 2 * len(turned) == len(ways))


def put_right(
    found: Misread, sightings: Sightings, lenses: Mapping[str, Lens], board: Board
) -> tuple[Sightings, dict[str, Lens]]:
    """The views as pictures the right way round would show them, and the lenses of those."""
    views = []
    for view in sightings.views:
        if view.camera in found.mirrored:
            view = mirrored_view(view, board, sightings.sizes_px[view.camera][0])
        if view.camera in found.turned:
            view = turned_by_half(view, board)
        views.append(view)
    right = {
        name: mirrored_lens(lens) if name in found.mirrored else lens
        for name, lens in lenses.items()
    }
    return replace(sightings, views=tuple(views)), right


def mirrored_view(view: View, board: Board, width_px: int) -> View:
    """What the view would be in a picture flipped left to right.

    A chessboard and its mirror image are the same print, so a mirrored one was numbered along
    the side that has an even count of corners the wrong way; ChArUco's markers tell them apart.
    """
    corners = view.corners_px.copy()
    corners[:, 0] = width_px - 1 - corners[:, 0]
    ids = view.ids
    columns, rows = board.inner_corners
    if board.kind == "chessboard":
        along, down = ids % columns, ids // columns
        if rows % 2 == 0:
            down = rows - 1 - down
        else:
            along = columns - 1 - along
        ids = down * columns + along
    return replace(view, corners_px=corners, ids=ids, mirrored=False)


def mirrored_lens(lens: Lens) -> Lens:
    """The lens of the same camera for pictures flipped left to right."""
    K, dist = lens.K.copy(), lens.dist.copy()
    K[0, 2] = lens.size_px[0] - 1 - K[0, 2]
    if model_of(dist) != "fisheye":
        dist[3] = -dist[3]  # p2 goes with x, everything else with even powers of it
    return replace(lens, K=K, dist=dist)


def _ways_by_tree(
    sightings: Sightings, lenses: Mapping[str, Lens], board: Board, edges: Sequence[Edge]
) -> dict[str, Way]:
    """Each camera beside the first, along the pairs that agree most (Prim)."""
    poses: dict[tuple[str, Way], dict[str, list[F64]]] = {}
    tied = {
        (edge.first, edge.second): _way(edge, sightings, lenses, board, poses) for edge in edges
    }
    ways: dict[str, Way] = {next(iter(lenses)): _AS_IT_IS}
    while True:
        open_pairs = [pair for pair in tied if (pair[0] in ways) != (pair[1] in ways)]
        if not open_pairs:
            return {name: ways.get(name, _AS_IT_IS) for name in lenses}
        best = max(open_pairs, key=lambda pair: tied[pair][1])
        known, new = best if best[0] in ways else best[::-1]
        own, step = ways[known], tied[best][0]
        ways[new] = (own[0] != step[0], own[1] != step[1])


def _way(
    edge: Edge,
    sightings: Sightings,
    lenses: Mapping[str, Lens],
    board: Board,
    poses: dict[tuple[str, Way], dict[str, list[F64]]],
) -> tuple[Way, float]:
    """How the second camera of a pair is to be taken for the first to agree, and how strongly."""
    if edge.agreeing >= DOUBTFUL * edge.moments or edge.moments < MIN_MOMENTS:
        return _AS_IT_IS, edge.strength
    best, best_edge = _AS_IT_IS, edge
    for way in _WAYS[1:]:
        both: dict[tuple[str, str], Sequence[F64]] = {}
        for name, wanted in ((edge.first, _AS_IT_IS), (edge.second, way)):
            if (name, wanted) not in poses:
                poses[name, wanted] = _poses(name, wanted, sightings, lenses[name], board)
            both |= {(name, moment): own for moment, own in poses[name, wanted].items()}
        tried = tie(edge.first, edge.second, both, lenses, board)
        if tried is not None and tried.strength > best_edge.strength:
            best, best_edge = way, tried
    if best_edge.agreeing < SURE * edge.moments:
        return _AS_IT_IS, edge.strength
    return best, best_edge.strength


def _poses(
    name: str, way: Way, sightings: Sightings, lens: Lens, board: Board
) -> dict[str, list[F64]]:
    """Candidate poses of a camera's shared views, taken in that way."""
    found = Misread((name,) if way[0] else (), (name,) if way[1] else ())
    own = replace(
        sightings, views=tuple(v for v in sightings.views if v.camera == name and v.shared)
    )
    right, lenses = put_right(found, own, {name: lens}, board)
    K, dist = lenses[name].K, lenses[name].dist
    return {v.moment: poses for v in right.views if (poses := board_poses(v, K, dist, board))}


def _fewer(some: list[str], every: list[str]) -> list[str]:
    """Those cameras, or the others if they are fewer: one is as possible as the other."""
    return some if 2 * len(some) <= len(every) else [name for name in every if name not in some]


def _those_mirrored(
    sightings: Sightings, board: Board, some: list[str], every: list[str]
) -> list[str]:
    """Of two groups that are mirrored to each other the one to flip back.

    Markers are read flipped where a picture is mirrored; a chessboard tells nothing.
    """
    others = [name for name in every if name not in some]
    if board.kind == "charuco":
        share, rest = (_read_flipped(sightings, names) for names in (some, others))
        if share != rest:
            return some if share > rest else others
    if 2 * len(some) != len(every):
        return _fewer(some, every)
    raise Unsolvable(
        f"the pictures of {', '.join(some)} are mirrored to those of {', '.join(others)}, and "
        "nothing tells which are the right way round; switch off 'mirror' or 'flip' in the "
        "cameras' drivers and film again, or flip those pictures yourself",
        camera=some[0],
        reason="mirrored_camera",
    )


def _read_flipped(sightings: Sightings, names: Sequence[str]) -> float:
    own = [view.mirrored for view in sightings.views if view.camera in names]
    return float(np.mean(own)) if own else 0.0
