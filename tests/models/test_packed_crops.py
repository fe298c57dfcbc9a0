"""Canvases full of people's crops: no pixel twice or left, joints where they were."""

import numpy as np
import pytest

from models.training.packed_crops import cut, packed_canvas
from models.training.photos import LabelledPerson, Photo

SIDE = 192


@pytest.mark.parametrize("seed", range(5))
def test_pieces_cover_the_canvas_once(seed):
    covered = np.zeros((SIDE, SIDE), int)
    pieces = cut(SIDE, np.random.default_rng(seed))
    assert len(pieces) >= 2
    for left, top, width, height in pieces:
        assert min(width, height) >= SIDE // 4
        assert not any(value % 4 for value in (left, top, width, height))
        covered[top : top + height, left : left + width] += 1
    assert (covered == 1).all()


def photo(number):
    """A grey picture with one person, all of whose joints are marked in white."""
    rng = np.random.default_rng(number)
    joints = np.column_stack([rng.integers(150, 250, 17), rng.integers(100, 300, 17), [2] * 17])
    box = np.asarray([140.0, 90.0, 260.0, 310.0])
    person = LabelledPerson(joints.astype(float), box, 26400.0, "drawn", 0)
    return Photo(f"{number}", number, (400, 400), (person,), np.zeros((0, 4)), False, None)


def read(one):
    image = np.full((400, 400, 3), 60, np.uint8)
    for x, y, _ in one.people[0].joints.astype(int):
        image[y - 3 : y + 4, x - 3 : x + 4] = 255
    return image


def packed(seam_cells):
    rng = np.random.default_rng(3)
    return packed_canvas(
        SIDE, lambda: (photo(int(rng.integers(9))), 5.0, 0.0), read, rng, seam_cells
    )


def test_joints_lie_where_the_picture_shows_them():
    made = packed(0)
    assert len(made.cells) == len(made.pieces)  # each piece shows one person, people stay apart
    known = 0
    for people, piece in zip(made.cells, made.pieces, strict=True):
        left, top, width, height = (value // 4 for value in piece)
        for joint, (x, y) in enumerate(people):
            if np.isnan(x):
                continue
            assert left <= x < left + width
            assert top <= y < top + height
            x, y = int(x), int(y)
            assert made.heat[joint, y, x] >= np.exp(-0.25) - 1e-6
            around = made.image[4 * y - 4 : 4 * y + 8, 4 * x - 4 : 4 * x + 8]
            assert around.max() > 90  # the mark, however small it became
            known += 1
    assert known >= 15 * len(made.pieces)


def test_beside_seams_only_joints_are_learned():
    kept, masked = packed(0), packed(2)
    np.testing.assert_array_equal(kept.image, masked.image)
    gone = (kept.weight > 0) & (masked.weight == 0)
    assert gone.any()
    assert (kept.heat[gone] <= 0.1).all()
    near = np.zeros(kept.heat.shape[1:], bool)
    for left, top, width, height in kept.pieces:
        inner = np.zeros_like(near)
        x, y, w, h = left // 4, top // 4, width // 4, height // 4
        inner[y : y + h, x : x + w] = True
        inner[y + 2 : y + h - 2, x + 2 : x + w - 2] = False
        near |= inner
    assert near[gone.any(0)].all()
