import pytest
import torch

from models.errors import CheckpointMismatch
from models.hourglass import HourglassConfig, StackedHourglass
from models.training.checkpoint import Checkpoint, blended

TINY = HourglassConfig("tiny", "light", 1, 16, 0, 2, "bottleneck", 1)


def checkpoint(seed, config=TINY):
    torch.manual_seed(seed)
    state = StackedHourglass(config).state_dict()
    return Checkpoint(config, state, state, {"state": {}}, seed, 0.0)


def test_weights_lie_on_the_line_between_two_runs():
    first, second = checkpoint(1), checkpoint(2)
    mixed = blended(first, second, 0.25)
    for name, value in mixed.average.items():
        expected = 0.75 * first.average[name] + 0.25 * second.average[name]
        torch.testing.assert_close(value, expected, check_dtype=False, msg=name)
    assert (mixed.step, mixed.network, mixed.optimizer) == (2, {}, {})
    StackedHourglass(TINY).load_state_dict(mixed.average)


def test_two_networks_cannot_be_blended():
    other = HourglassConfig("wider", "light", 1, 24, 0, 2, "bottleneck", 1)
    with pytest.raises(CheckpointMismatch, match="cannot blend 'tiny' with 'wider'"):
        blended(checkpoint(1), checkpoint(2, other), 0.5)
