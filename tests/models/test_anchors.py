import math

import pytest
import torch

from models.hourglass import PoseMaps, StackMaps
from models.movenet import TrunkMaps
from models.training.anchors import anchor_losses
from models.training.mix import Batch

CELLS = 24


def trunk_maps(heat=-6.0, center=-6.0):
    """What a trunk says of a picture it sees nothing in."""
    empty = torch.zeros(1, 0, CELLS, CELLS)
    return TrunkMaps(
        features=empty,
        hidden=empty,
        joint_logits=torch.full((1, 17, CELLS, CELLS), heat),
        center_logits=torch.full((1, 1, CELLS, CELLS), center),
        regress_cell=torch.zeros(1, 34, CELLS, CELLS),
        sides=[],
    )


def said(trunk):
    """A network without any stack above its trunk."""
    heat = trunk.joint_logits.sigmoid()
    return PoseMaps([StackMaps(heat, heat, None)], trunk)


def batch(cells=None, weight=0.0):
    if cells is None:
        cells = torch.full((1, 1, 17, 2), math.nan)
    heat = torch.zeros(1, 17, CELLS, CELLS)
    return Batch(torch.zeros(1, 3, 96, 96), heat, torch.full_like(heat, weight), cells)


def standing():
    """One person of 17 joints, 8 cells wide and 16 high: the middle is (12, 12)."""
    cells = torch.full((1, 1, 17, 2), 12.0)
    cells[0, 0, :, 1] = torch.linspace(4, 20, 17).round()
    cells[0, 0, 5, 0], cells[0, 0, 6, 0] = 8, 16
    return cells


def test_a_trunk_that_has_not_moved_costs_nothing_without_labels():
    before = trunk_maps(center=2.0)
    assert [float(v) for v in anchor_losses(said(before), before, batch())] == [0, 0, 0]


def test_heatmaps_are_held_only_where_nothing_is_labelled():
    before, now = trunk_maps(), trunk_maps(heat=0.0)
    assert anchor_losses(said(now), before, batch()).heat > 0
    assert anchor_losses(said(now), before, batch(weight=1.0)).heat == 0


def test_a_labelled_person_has_one_centre_in_the_middle_of_its_box():
    before, right, off = trunk_maps(), trunk_maps(), trunk_maps()
    right.center_logits[0, 0, 12, 12] = 6.0
    off.center_logits[0, 0, 17, 12] = 6.0
    labels = batch(standing())
    costs = [anchor_losses(said(now), before, labels).center for now in (right, before, off)]
    assert costs[0] < costs[1] < costs[2]
    # An old centre beside it, of the same person, is to be forgotten.
    before.center_logits[0, 0, 14, 12] = 6.0
    assert anchor_losses(said(right), before, labels).center == pytest.approx(float(costs[0]))


def test_the_way_to_the_joints_is_counted_from_a_cells_upper_left_corner():
    before, now, labels = trunk_maps(), trunk_maps(), standing()
    rows, columns = torch.meshgrid(torch.arange(CELLS), torch.arange(CELLS), indexing="ij")
    for joint, (x, y) in enumerate(labels[0, 0]):
        now.regress_cell[0, 2 * joint] = y + 0.5 - rows
        now.regress_cell[0, 2 * joint + 1] = x + 0.5 - columns
    assert anchor_losses(said(now), before, batch(labels)).regress == pytest.approx(0, abs=1e-9)
    now.regress_cell[0, ::2] += 2.0  # an eighth of the person's size of 16 cells, along y
    # Errors count in quarters of the size: 2 / 16 * 4 = 0.5, of which half the square.
    assert anchor_losses(said(now), before, batch(labels)).regress == pytest.approx(0.125)


def test_a_person_known_in_part_has_no_centre():
    labels = standing()
    labels[0, 0, :8] = math.nan  # nine joints, no face
    before = trunk_maps()
    before.center_logits[0, 0, 3, 3] = 4.0
    losses = anchor_losses(said(before), before, batch(labels))
    assert losses.center == 0
    assert losses.regress == 0
