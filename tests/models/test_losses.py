import math

import pytest
import torch

from models.hourglass import FIELD_CELLS
from models.training.losses import field_loss, heat_loss, tag_loss

torch.set_num_threads(1)  # two threads on two busy cores wait for each other

NAN = float("nan")


def test_heat_by_hand():
    target = torch.tensor([[[[1.0, 0.0]]]])
    heat = torch.tensor([[[[0.5, 0.2]]]])
    weight = torch.ones(1, 1, 1, 2)
    # (5 * 0.25 + 1 * 0.04) over a blob mass of 1, plus 1.
    assert heat_loss(heat, target, weight).item() == pytest.approx((5 * 0.25 + 0.04) / 2)


def test_what_is_not_known_teaches_nothing():
    heat = torch.full((1, 1, 1, 2), 0.7, requires_grad=True)
    weight = torch.tensor([[[[1.0, 0.0]]]])
    heat_loss(heat, torch.zeros(1, 1, 1, 2), weight).backward()
    assert heat.grad[0, 0, 0, 0] > 0
    assert heat.grad[0, 0, 0, 1] == 0


def one_row_of_tags(values, people):
    """Tags of two joints in one row of cells, and where each person's two joints lie."""
    tags = torch.tensor(values).reshape(1, 2, 1, -1)
    return tags, torch.tensor(people).reshape(1, -1, 2, 2)


def test_tags_by_hand():
    # Person A has tags 0 and 2, so mean 1 and spread 1; person B one joint of tag 4.
    tags, cells = one_row_of_tags(
        [[0.0, 4.0, 9.0], [2.0, 9.0, 9.0]],
        [[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [NAN, NAN]]],
    )
    pull, push = tag_loss(tags, cells)
    assert pull.item() == pytest.approx((1 + 0) / 2)
    # Both ordered pairs are 3 apart; nobody is paired with themselves.
    assert push.item() == pytest.approx(math.exp(-9 / 2))


def test_one_person_or_nobody_pushes_nothing():
    tags, cells = one_row_of_tags([[0.5], [1.5]], [[[0.0, 0.0], [0.0, 0.0]]])
    pull, push = tag_loss(tags, cells)
    assert push.item() == 0
    assert pull.item() == pytest.approx(0.25)
    pull, push = tag_loss(tags, torch.full((1, 3, 2, 2), NAN))
    assert pull.item() == push.item() == 0


def test_tag_gradients_agree_with_finite_differences():
    torch.manual_seed(0)
    tags = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    cells = torch.tensor(
        [[[[0.0, 0.0], [1.0, 2.0]], [[2.0, 1.0], [2.0, 2.0]]]], dtype=torch.float64
    )
    assert torch.autograd.gradcheck(lambda t: sum(tag_loss(t, cells)), (tags,))


def field_and_cells():
    """A person of four torso joints in a square of 8 cells around (10, 10), and a true field."""
    cells = torch.full((1, 1, 17, 2), NAN)
    corners = {5: (14.0, 6.0), 6: (6.0, 6.0), 11: (14.0, 14.0), 12: (6.0, 14.0)}
    field = torch.zeros(1, 51, 20, 20)
    for joint, (x, y) in corners.items():
        cells[0, 0, joint] = torch.tensor([x, y])
        field[0, joint, int(y), int(x)] = (10 - x) / FIELD_CELLS
        field[0, 17 + joint, int(y), int(x)] = (10 - y) / FIELD_CELLS
        field[0, 34 + joint, int(y), int(x)] = math.log(8 / 16)
    return field, cells


def test_a_true_field_costs_nothing():
    field, cells = field_and_cells()
    assert field_loss(field, cells).item() == pytest.approx(0, abs=1e-6)


def test_a_false_field_by_hand():
    field, cells = field_and_cells()
    field[0, 5, 6, 14] += 2 / FIELD_CELLS  # two cells wrong of a size of 8, one joint in four
    # (2 / 8 * 4) = 1: the linear part of the smooth loss, 1 - 0.5.
    assert field_loss(field, cells).item() == pytest.approx(0.5 / 4)


def test_a_field_of_nobody_costs_nothing():
    field, cells = field_and_cells()
    assert field_loss(field, torch.full_like(cells, NAN)).item() == 0
