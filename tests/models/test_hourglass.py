from dataclasses import replace

import pytest
import torch

from models.blocks import Attention, Pointwise, activation, grid
from models.hourglass import (
    Hourglass,
    HourglassConfig,
    StackedHourglass,
    published,
    quadglass_m,
    quadglass_s,
    small,
)

torch.set_num_threads(1)  # two threads on two busy cores wait for each other


def tiny(**changes):
    config = HourglassConfig("tiny", "light", 2, 8, 0, 2, "bottleneck", 1, attention=True)
    return replace(config, **changes)


def pictures(*size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, *size, generator=generator) * 255


@pytest.mark.parametrize("build", [small, quadglass_s, quadglass_m])
@pytest.mark.parametrize("size", [(64, 96), (128, 64)])
def test_every_stack_says_heat_and_tags_at_a_quarter(build, size):
    network = StackedHourglass(build()).eval()
    with torch.no_grad():
        maps = network(pictures(*size))
    assert len(maps.stacks) == network.config.stacks + (maps.trunk is not None)
    for stack in maps.stacks:
        assert stack.heat.shape == stack.tags.shape == (2, 17, size[0] // 4, size[1] // 4)
    if network.config.center_field:
        assert maps.stacks[-1].field.shape == (2, 51, size[0] // 4, size[1] // 4)


def test_the_published_network_has_the_published_size():
    with torch.device("meta"):
        network = StackedHourglass(published())
    # Counted from princeton-vl/pose-ae-train: 4 stacks, 138.89 M.
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(138.89e6, rel=1e-4)
    assert network.stacks[0].outputs.out_channels == 68
    deepest = network.stacks[0].hourglass.lower.lower.lower
    assert deepest.lower[0].conv.weight.shape == (768, 768, 3, 3)


def test_a_later_stack_hears_the_earlier_one():
    network = StackedHourglass(tiny())
    maps = network(pictures(64, 64))
    maps.stacks[1].heat.sum().backward()
    assert network.merge_outputs[0].weight.grad.abs().sum() > 0
    assert network.stacks[0].outputs.weight.grad.abs().sum() > 0


def test_on_the_pretrained_path_the_first_guess_is_the_trunks_own():
    network = StackedHourglass(quadglass_s()).eval()
    with torch.no_grad():
        maps = network(pictures(64, 64))
    torch.testing.assert_close(maps.stacks[1].heat, maps.trunk.joint_logits.sigmoid())
    torch.testing.assert_close(maps.stacks[0].heat, maps.stacks[1].heat)


@pytest.mark.parametrize("attention", [True, False])
def test_checkpointing_gives_the_same_gradients(attention):
    torch.manual_seed(0)
    plain = StackedHourglass(tiny(attention=attention))
    saving = StackedHourglass(tiny(attention=attention, checkpointing=True))
    saving.load_state_dict(plain.state_dict())
    images = pictures(64, 64)
    for network in (plain, saving):
        maps = network(images)
        sum((stack.heat**2).mean() + (stack.tags**2).mean() for stack in maps.stacks).backward()
    for (name, one), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=0, rtol=0, msg=name)


def test_an_hourglass_sees_everything_from_everywhere():
    # Through the lowest level a change in one corner must reach the other.
    torch.manual_seed(0)
    hourglass = Hourglass(tiny(attention=False), 3, 8).eval()
    x = torch.rand(1, 8, 32, 32, requires_grad=True)
    hourglass(x, [])[0, :, 0, 0].sum().backward()
    assert x.grad[0, :, 20:, 20:].abs().sum() > 0


def test_attention_begins_as_nothing():
    x = torch.rand(2, 8, 3, 5)
    torch.testing.assert_close(Attention(8)(x), x)


def test_grid_by_hand():
    place = grid(torch.zeros(1, 7, 2, 4))
    torch.testing.assert_close(place[0, 0], torch.tensor([[-1.0, -0.5, 0.0, 0.5]] * 2))
    torch.testing.assert_close(place[0, 1], torch.tensor([[-1.0] * 4, [0.0] * 4]))


def test_pointwise_is_a_convolution_in_training_too():
    layer = Pointwise(5, 3)
    x = torch.rand(2, 5, 4, 6)
    torch.testing.assert_close(layer.train()(x), layer.eval()(x))


@pytest.mark.parametrize("name", ["relu", "silu", "gelu", "hardswish"])
def test_activations_leave_zero_and_large_values(name):
    x = torch.tensor([0.0, 20.0])
    torch.testing.assert_close(activation(name)(x), x)
