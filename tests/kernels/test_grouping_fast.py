import itertools

import numpy as np
import pytest

from kernels.compiled import compiled
from kernels.errors import BadOperand
from kernels.grouping_fast import GroupRules, JointPeaks, group_peaks, likeness_table, reference

needs_numba = pytest.mark.skipif(not compiled(), reason="numba is not installed")
RULES = GroupRules(order=(1, 0, 2), torso=(0, 1))
NAN = np.nan


@pytest.fixture(params=["numpy", "numba"])
def way(request):
    if request.param == "numba" and not compiled():
        pytest.skip("numba is not installed")
    return reference if request.param == "numpy" else group_peaks


def tagged(scores, tags, joints=None):
    """Peaks of a network with tags alone."""
    scores, tags = np.asarray(scores, float), np.asarray(tags, float)[..., None]
    where = np.zeros((*scores.shape, 2)) if joints is None else np.asarray(joints, float)
    return JointPeaks(
        where, scores, tags, np.full((*scores.shape, 2), NAN), np.full(scores.shape, NAN)
    )


def crowd(people, seed, *, seeded, field=True, joints=17, count=30, tag_noise=0.15):
    """Peaks of people who stand about a picture of 512 x 512, some joints hidden."""
    rng = np.random.default_rng(seed)
    middle = rng.uniform(60, 450, (people, 1, 2))
    pose = middle + rng.normal(0, 25, (people, joints, 2))
    shape = (joints, count)
    peaks = JointPeaks(
        np.zeros((*shape, 2)),
        np.zeros(shape),
        np.zeros((*shape, 1)),
        np.full((*shape, 2), NAN),
        np.full(shape, NAN),
    )
    for joint in range(joints):
        score = np.where(rng.random(people) < 0.8, rng.uniform(0.25, 0.95, people), 0.06)
        best = np.argsort(-score)[:count]
        n = len(best)
        peaks.joints[joint, :n] = pose[best, joint] + rng.normal(0, 2, (n, 2))
        peaks.scores[joint, :n] = score[best]
        peaks.tags[joint, :n, 0] = best + rng.normal(0, tag_noise, n)
        if field:
            peaks.centers[joint, :n] = middle[best, 0] + rng.normal(0, 8, (n, 2))
            peaks.sizes[joint, :n] = 120 + rng.normal(0, 10, n)
    expected = pose + rng.normal(0, 4, pose.shape) if seeded else np.zeros((0, joints, 2))
    return peaks, expected


def test_two_people_by_tags(way):
    """Tags 0 and 5 are five spreads apart; joint 2 of the second is too weak to count."""
    peaks = tagged(
        scores=[[0.9, 0.8], [0.7, 0.6], [0.9, 0.05]],
        tags=[[0.1, 5.1], [5.0, 0.0], [0.2, 5.0]],
    )
    groups = way(peaks, np.zeros((0, 3, 2)), RULES)
    # Joint 1 comes first and founds both: its best peak has tag 5.
    assert groups.members.tolist() == [[1, 0, -1], [0, 1, 0]]
    assert (groups.filled == -1).all()


def test_assignment_beats_greed(way):
    """Each takes the nearer tag alone; together the sum counts, and both get a joint."""
    peaks = tagged(scores=[[0.9, 0.9], [0.9, 0.9], [0, 0]], tags=[[1.4, 1.6], [0.0, 3.0], [0, 0]])
    groups = way(peaks, np.zeros((0, 3, 2)), RULES)
    assert sorted(groups.members[:, 0].tolist()) == [0, 1]


def test_a_sure_stranger_founds_and_a_weak_one_does_not(way):
    peaks = tagged(scores=[[0.9, 0.35, 0.25], [0.9, 0, 0], [0, 0, 0]], tags=[[0, 9, 20]] * 3)
    groups = way(peaks, np.zeros((0, 3, 2)), RULES)
    assert groups.members[:, 0].tolist() == [0, 1]


def test_a_gap_is_filled_where_the_joint_is_expected(way):
    """Joint 2 is expected at (10, 40): the weak peak 2 px off fills it, one 30 px off does not."""
    expected = np.array([[[10.0, 0.0], [10.0, 20.0], [10.0, 40.0]]])
    where = [[[10, 0], [0, 0]], [[10, 20], [0, 0]], [[40, 40], [11, 41.5]]]
    peaks = tagged([[0.9, 0], [0.8, 0], [0.06, 0.05]], [[0, 0]] * 3, where)
    groups = way(peaks, expected, RULES)
    assert groups.members.tolist() == [[0, 0, -1]]
    assert groups.filled.tolist() == [[-1, -1, 1]]


def test_nobody_and_nothing(way):
    nothing = tagged(np.zeros((3, 2)), np.zeros((3, 2)))
    assert way(nothing, np.zeros((0, 3, 2)), RULES).members.shape == (0, 3)
    expected = np.ones((2, 3, 2))
    groups = way(nothing, expected, RULES)
    assert (groups.members == -1).all()
    assert groups.members.shape == (2, 3)
    assert groups.gain == 0


@needs_numba
@pytest.mark.parametrize("people", [1, 2, 6, 17, 30, 40])
@pytest.mark.parametrize(("seeded", "field"), list(itertools.product([False, True], repeat=2)))
def test_compiled_as_good_as_defined(people, seeded, field):
    """Gains to rounding: each joint's assignment is optimal, so the sums agree; as no two
    candidates tie in these scenes, so do the people."""
    order = tuple(np.random.default_rng(people).permutation(17))
    rules = GroupRules(order=order, torso=(5, 6, 11, 12))
    for seed in range(3):
        peaks, expected = crowd(people, seed, seeded=seeded, field=field)
        found, wanted = group_peaks(peaks, expected, rules), reference(peaks, expected, rules)
        assert found.gain == pytest.approx(wanted.gain, rel=1e-9)
        np.testing.assert_array_equal(found.members, wanted.members)
        np.testing.assert_array_equal(found.filled, wanted.filled)


@needs_numba
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (7, 3), (12, 12), (1, 9), (0, 3), (3, 0)])
def test_assignment_is_optimal(shape):
    """Against scipy, by what it is worth: with values in tenths most optima are tied."""
    from scipy.optimize import linear_sum_assignment

    from kernels.grouping_numba import assign

    rng = np.random.default_rng(0)
    for _ in range(20):
        gain = rng.integers(0, 10, shape) / 10
        chosen = assign(gain)
        rows = np.flatnonzero(chosen >= 0)
        assert len(rows) == min(shape)
        assert len(set(chosen[rows].tolist())) == len(rows)
        people, best = linear_sum_assignment(gain, maximize=True)
        assert gain[rows, chosen[rows]].sum() == pytest.approx(gain[people, best].sum())


def test_tied_tags_make_as_many_people(way):
    """Equal candidates may go either way; each is used once and nobody is left over."""
    peaks = tagged(np.full((3, 3), 0.8), np.zeros((3, 3)))
    groups = way(peaks, np.zeros((0, 3, 2)), RULES)
    assert groups.members.shape == (3, 3)
    for joint in range(3):
        assert sorted(groups.members[:, joint].tolist()) == [0, 1, 2]
    assert groups.gain == pytest.approx(2 * 3 * 0.8)


def test_likeness_by_hand():
    """Box 10: joints 1 spread x 10 apart score exp(-1/2); NaN joints do not count."""
    first = np.array([[[0.0, 0.0], [10.0, 0.0], [NAN, NAN]]])
    second = np.array([[[1.0, 0.0], [10.0, 0.0], [5.0, 0.0]]])
    table = likeness_table(first, second, np.array([0.1, 0.1, 0.1]))
    assert table == pytest.approx((np.exp(-0.5) + 1) / 2)


def test_likeness_of_nothing_is_zero():
    blank, point = np.full((1, 3, 2), NAN), np.zeros((1, 3, 2))
    spreads = np.full(3, 0.1)
    assert likeness_table(blank, point, spreads).tolist() == [[0.0]]
    assert likeness_table(point, point, spreads).tolist() == [[0.0]]  # no extent, no measure
    assert likeness_table(np.zeros((0, 3, 2)), point, spreads).shape == (0, 1)


def test_what_does_not_belong_together():
    peaks = tagged(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(BadOperand, match="arrays of one picture"):
        group_peaks(peaks, np.zeros((0, 4, 2)), RULES)
    with pytest.raises(BadOperand, match="match the skeleton"):
        group_peaks(peaks, np.zeros((0, 3, 2)), GroupRules(order=(0, 3), torso=(0,)))
