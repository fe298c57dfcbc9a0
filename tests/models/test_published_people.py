from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from models.errors import BadImage
from models.published import people
from models.published.people import group_maps, like_mmpose, like_princeton, quarter

SIDE = 32


def empty(tag_parts=1):
    return np.zeros((17, SIDE, SIDE), np.float32), np.zeros((17, SIDE, SIDE, tag_parts), np.float32)


def put(maps, joint, x, y, score, tag):
    heat, tags = maps
    heat[joint, y, x] = score
    tags[joint, y, x] = tag


@pytest.fixture(params=[like_princeton(), like_mmpose()], ids=["princeton", "mmpose"])
def settings(request):
    return request.param


def test_nobody_in_nothing(settings):
    assert group_maps(*empty(), settings) == []


def test_two_people_by_hand(settings):
    maps = empty()
    put(maps, 0, 5, 6, 0.9, 1.0)
    put(maps, 0, 20, 6, 0.7, 4.0)
    put(maps, 5, 21, 12, 0.8, 4.3)  # 0.3 from the second person, 3.3 from the first
    put(maps, 5, 6, 12, 0.6, 1.2)
    maps[0][0, 6, 6] = 0.2  # the cell right of the first nose is warm: a quarter that way
    maps[0][0, 5, 5] = 0.1
    first, second = group_maps(*maps, settings)
    np.testing.assert_allclose(first.joints_px[0], [5.75, 6.25])
    np.testing.assert_allclose(first.joints_px[5], [6.25, 12.25])
    np.testing.assert_allclose(second.joints_px[5], [21.25, 12.25])
    # The mean over seventeen joints, absent ones as nothing.
    assert first.score == pytest.approx((0.9 + 0.6) / 17)
    assert second.score == pytest.approx((0.7 + 0.8) / 17)
    assert np.isnan(first.joints_px[9]).all()
    assert first.scores[9] == 0
    assert not first.inferred.any()


def test_a_tag_one_away_founds_a_person(settings):
    maps = empty()
    put(maps, 0, 5, 6, 0.9, 0.0)
    put(maps, 5, 6, 12, 0.9, 0.99)
    put(maps, 6, 8, 12, 0.9, 1.6)  # 1.1 from the running mean of 0 and 0.99
    assert len(group_maps(*maps, settings)) == 2


def test_a_peak_as_weak_as_the_threshold_is_none(settings):
    maps = empty()
    put(maps, 0, 5, 6, 0.1, 0.0)
    assert group_maps(*maps, settings) == []
    put(maps, 0, 5, 6, 0.11, 0.0)
    assert len(group_maps(*maps, settings)) == 1


def test_the_window_of_a_peak():
    maps = empty()
    put(maps, 0, 5, 6, 0.9, 0.0)
    put(maps, 0, 7, 6, 0.8, 9.0)  # two cells away: within a window of 5, not of 3
    assert len(group_maps(*maps, like_princeton())) == 2
    assert len(group_maps(*maps, like_mmpose())) == 1


def test_the_distance_of_tags_with_two_parts():
    # (0.8, 0.8) from the other: 0.8 by the mean of squares, 1.13 by the norm.
    maps = empty(2)
    put(maps, 0, 5, 6, 0.9, (0.0, 0.0))
    put(maps, 5, 6, 12, 0.9, (0.8, 0.8))
    assert len(group_maps(*maps, like_princeton())) == 1
    assert len(group_maps(*maps, like_mmpose())) == 2


def test_a_gap_is_filled_by_the_hottest_cell_of_the_nearest_tag():
    maps = empty()
    put(maps, 0, 5, 6, 0.9, 3.0)
    maps[1][5] = 9.0
    put(maps, 5, 25, 25, 0.09, 9.0)  # hotter, but somebody else's
    put(maps, 5, 6, 12, 0.05, 3.2)
    (one,) = group_maps(*maps, like_mmpose())
    assert one.inferred[5]
    np.testing.assert_allclose(one.joints_px[5], [6.25, 12.25])
    assert one.scores[5] == np.float32(0.05)
    (one,) = group_maps(*maps, like_princeton())
    assert one.scores[5] == 1
    assert one.score == pytest.approx(0.9 / 17)  # as it was before filling


def test_princeton_bounds_the_row_below_a_filled_joint():
    # Its own code takes the number of joints for the height: row 16 instead of row 21.
    maps = empty()
    put(maps, 0, 5, 6, 0.9, 0.0)
    put(maps, 5, 8, 20, 0.09, 0.0)
    put(maps, 5, 8, 21, 0.05, 0.0)
    (one,) = group_maps(*maps, like_princeton())
    np.testing.assert_allclose(one.joints_px[5], [8.25, 20.25])
    (one,) = group_maps(*maps, replace(like_princeton(), filled_row=None))
    np.testing.assert_allclose(one.joints_px[5], [8.25, 20.75])


def test_thirty_people_are_enough_for_princeton():
    maps = empty()
    for index in range(30):
        put(maps, 0, 4 + 5 * (index % 6), 2 + 5 * (index // 6), 0.9 - 0.01 * index, 3.0 * index)
    put(maps, 5, 3, 3, 0.9, 0.0)  # a left shoulder that fits the first of them
    assert len(group_maps(*maps, like_mmpose())) == 30
    assert group_maps(*maps, like_princeton())[0].inferred[5]
    assert not group_maps(*maps, like_mmpose())[0].inferred[5]


def test_people_with_the_same_tag_stay_two():
    # Keyed by the tag as published they would be one, the later one's joints in place.
    maps = empty()
    put(maps, 0, 5, 6, 0.9, 2.0)
    put(maps, 0, 20, 6, 0.7, 2.0)
    assert len(group_maps(*maps, like_princeton())) == 2


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ((1, 1), (1.25, 1.25)),
        ((2, 1), (2.25, 1.75)),
        ((0, 0), (0.25, 0.75)),
        ((3, 2), (3.75, 2.75)),
    ],
)
def test_quarters_by_hand(cell, expected):
    heat = np.array([[0, 0, 0, 0], [0, 9, 5, 7], [0, 0, 1, 8]], dtype=np.float32)
    heat[1, 0] = 6  # left of (1, 1) is hotter than right of it
    np.testing.assert_allclose(quarter(heat, np.array(cell)), expected)


def test_the_tie_break_takes_the_nearer_of_two_that_cost_the_same():
    # Rounded, both shoulders are 0 from both noses; scores alone cannot tell who is whose.
    maps = empty()
    put(maps, 0, 5, 6, 0.9, 0.0)
    put(maps, 0, 20, 6, 0.9, 0.4)
    put(maps, 5, 6, 12, 0.9, 0.05)
    put(maps, 5, 21, 12, 0.9, 0.35)
    found = group_maps(*maps, replace(like_princeton(), tie_break=1e-3))
    for person in found:
        assert person.joints_px[5, 0] == person.joints_px[0, 0] + 1


def test_every_assignment_costs_the_least(settings, monkeypatch):
    # Solvers differ where costs tie; what must hold is the cost. Checked against all ways.
    from itertools import permutations

    seen = []

    def watched(cost):
        rows, columns = linear_sum_assignment(cost)
        seen.append((cost, cost[rows, columns].sum()))
        return rows, columns

    monkeypatch.setattr(people, "linear_sum_assignment", watched)
    rng = np.random.default_rng(0)
    heat = np.where(rng.random((17, SIDE, SIDE)) > 0.997, rng.random((17, SIDE, SIDE)), 0)
    tags = rng.normal(0, 2, (17, SIDE, SIDE, 2)).astype(np.float32)
    group_maps(heat.astype(np.float32), tags, replace(settings, most=5))
    small = [(cost, total) for cost, total in seen if cost.shape[1] <= 7]
    assert small
    for cost, total in small:
        ways = permutations(range(cost.shape[1]), len(cost))
        best = min(sum(cost[row, column] for row, column in enumerate(way)) for way in ways)
        assert total == pytest.approx(best)


def test_maps_that_do_not_fit_or_hold_nan(settings):
    heat, tags = empty()
    with pytest.raises(BadImage, match=r"heat is \(16, 32, 32\)"):
        group_maps(heat[:16], tags[:16], settings)
    with pytest.raises(BadImage, match="tags"):
        group_maps(heat, tags[:, :8], settings)
    heat[3, 4, 5] = np.nan
    with pytest.raises(BadImage, match="check its weights"):
        group_maps(heat, tags, settings)
