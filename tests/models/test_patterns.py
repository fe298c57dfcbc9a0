import numpy as np

from models.training.patterns import draw_pattern, make_patterns
from models.training.photos import read_backgrounds


def test_patterns_repeat_by_their_seed_and_differ_otherwise():
    one, again, other = (draw_pattern(64, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (64, 64, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert np.abs(one.astype(int) - other).mean() > 5


def test_patterns_are_backgrounds(tmp_path):
    folder = make_patterns(tmp_path / "patterns", 3, side=64)
    assert len(read_backgrounds(folder)) == 3
