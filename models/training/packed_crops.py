"""Several people's crops in one training canvas with nothing between them.

The canvas is cut in two again and again (guillotine cuts, as in packing sheets of glass); each
piece then shows a person of a photo whose box has about its shape, with as much of the photo around
as fills it. So no pixel is padding but where a photo ends, and people of different pieces are
different people. What lies across a seam belongs to another photo, so a network that looks across
learns nothing true there: cells beside a seam may be left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .photos import LabelledPerson, Photo
from .scene import STRIDE, crop, joint_cells, random_view, targets

__all__ = ["PackedCanvas", "Piece", "cut", "packed_canvas"]

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]

_LEAST_OVER_SIDE = 0.25  # of a piece's side
_LEAST_PX = 48
_STOP_SHARE = 0.3  # of pieces that could still be cut and are not
_CANDIDATES = 6  # people drawn for a piece; the one of the nearest shape is shown
_FILLS = (0.65, 0.95)  # of the piece that the person's box takes
_BLOB = 0.1  # cells above this belong to a joint, and count also beside a seam


class Piece(NamedTuple):
    """A rectangle of the canvas, px, multiples of a cell."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PackedCanvas:
    """A training picture with its targets."""

    image: U8  # (S, S, 3) BGR
    heat: F32  # (17, S / 4, S / 4)
    weight: F32  # (17, S / 4, S / 4)
    cells: F32  # (P, 17, 2) x, y in cells, NaN where not labelled
    pieces: tuple[Piece, ...]


def cut(side: int, rng: np.random.Generator) -> list[Piece]:
    """A square in pieces that cover it, none of them narrower than a quarter of it.

    Args:
        side: px, a multiple of 4.
        rng: source of chance.
    """
    least = max(_LEAST_PX, int(side * _LEAST_OVER_SIDE)) // STRIDE * STRIDE
    whole = Piece(0, 0, side, side)
    waiting, done = [whole], []
    while waiting:
        piece = waiting.pop()
        longer = max(piece.width, piece.height)
        if longer < 2 * least or (piece is not whole and rng.random() < _STOP_SHARE):
            done.append(piece)
            continue
        first = int(rng.integers(least // STRIDE, (longer - least) // STRIDE + 1)) * STRIDE
        left, top, width, height = piece
        if width > height or (width == height and rng.random() < 0.5):
            waiting += [
                Piece(left, top, first, height),
                Piece(left + first, top, width - first, height),
            ]
        else:
            waiting += [
                Piece(left, top, width, first),
                Piece(left, top + first, width, height - first),
            ]
    return done


def packed_canvas(
    side: int,
    draw: Callable[[], tuple[Photo, float, float]],
    read: Callable[[Photo], U8],
    rng: np.random.Generator,
    seam_cells: int = 0,
) -> PackedCanvas:
    """A canvas full of people.

    Args:
        side: px, a multiple of 4.
        draw: a photo with labelled people, the spread of its rotation in degrees, and the share of
            views turned by any angle.
        read: its picture.
        rng: source of chance.
        seam_cells: this near a seam nothing is learned but where a joint is.
    """
    cells = side // STRIDE
    image = np.zeros((side, side, 3), dtype=np.uint8)
    heat = np.zeros((17, cells, cells), dtype=np.float32)
    weight = np.zeros_like(heat)
    people: list[F32] = []
    pieces = tuple(cut(side, rng))
    for piece in pieces:
        left, top, width, height = piece
        square = max(width, height)
        photo, person, turn_deg, any_turn = _fitting(piece, draw, rng)
        view = _view(person, piece, random_view(photo, square, rng, turn_deg, any_turn), rng)
        scene = crop(read(photo), photo, view, square, rng)
        piece_heat, piece_weight = targets(scene)
        rows, columns = height // STRIDE, width // STRIDE
        own_heat, own_weight = piece_heat[:, :rows, :columns], piece_weight[:, :rows, :columns]
        if seam_cells:
            own_weight = own_weight * _away_from_seams(piece, cells, seam_cells, own_heat)
        y, x = top // STRIDE, left // STRIDE
        image[top : top + height, left : left + width] = scene.image[:height, :width]
        heat[:, y : y + rows, x : x + columns] = own_heat
        weight[:, y : y + rows, x : x + columns] = own_weight
        people.append(
            _inside(joint_cells(scene), columns, rows) + np.asarray([x, y], dtype=np.float32)
        )
    return PackedCanvas(image, heat, weight, np.concatenate(people), pieces)


def _fitting(
    piece: Piece, draw: Callable[[], tuple[Photo, float, float]], rng: np.random.Generator
) -> tuple[Photo, LabelledPerson, float, float]:
    """Of some people drawn, the one whose box has most nearly the piece's shape."""
    wanted = np.log(piece.width / piece.height)
    best, least = None, np.inf
    for _ in range(_CANDIDATES):
        photo, turn_deg, any_turn = draw()
        known = [person for person in photo.people if person.labelled]
        person = known[int(rng.integers(len(known)))]
        width, height = np.maximum(person.box_px[2:] - person.box_px[:2], 1.0)
        off = abs(float(np.log(width / height) - wanted))
        if off < least:
            best, least = (photo, person, turn_deg, any_turn), off
    assert best is not None, "some were drawn"
    return best


def _view(person: LabelledPerson, piece: Piece, turned: F64, rng: np.random.Generator) -> F64:
    """A view's turn and mirror, with the person's box filling the piece."""
    view = turned.copy()
    view[:, :2] /= np.sqrt(abs(np.linalg.det(view[:, :2])))
    corners = person.box_px[[[0, 1], [2, 1], [0, 3], [2, 3]]] @ view[:, :2].T
    extent = np.maximum(np.ptp(corners, axis=0), 1.0)
    room = np.asarray([piece.width, piece.height])
    view[:, :2] *= float((room / extent).min()) * rng.uniform(*_FILLS)
    moved = person.box_px[[[0, 1], [2, 1], [0, 3], [2, 3]]] @ view[:, :2].T
    slack = (room - np.ptp(moved, axis=0)) * rng.uniform(0.3, 0.7, 2)
    view[:, 2] = slack - moved.min(0)
    return view


def _inside(people: F32, columns: int, rows: int) -> F32:
    """Joints beyond the piece are unlabelled, people with fewer than two left are left out."""
    beyond = (people[..., 0] >= columns) | (people[..., 1] >= rows)
    people = np.where(beyond[..., None], np.float32(np.nan), people)
    enough = (~np.isnan(people[..., 0])).sum(1) >= 2
    return np.asarray(people[enough], dtype=np.float32)


def _away_from_seams(piece: Piece, cells: int, reach: int, heat: F32) -> F32:
    """(17, h, w) 0 near a seam, except where a joint is; the canvas's own edge is none."""
    kept = np.zeros_like(heat)
    left, top, width, height = (value // STRIDE for value in piece)
    rows, columns = heat.shape[1:]
    kept[
        :,
        reach if top > 0 else 0 : rows - (reach if top + height < cells else 0),
        reach if left > 0 else 0 : columns - (reach if left + width < cells else 0),
    ] = 1
    return np.where(heat > _BLOB, np.float32(1), kept)
