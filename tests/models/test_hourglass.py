from dataclasses import replace

import pytest
import torch

from models.blocks import Attention, Pointwise, activation, block, grid
from models.hourglass import (
    Hourglass,
    HourglassConfig,
    StackedHourglass,
    mmpose_ae,
    published_ae,
    published_single,
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


# Counted in the original code; the single-person ones without the skip layers that it stores and
# never calls (32.82 M and 8.43 M with them).
@pytest.mark.parametrize(
    ("config", "millions", "outputs"),
    [
        (published_ae(), 138.893840, 68),
        (mmpose_ae(), 138.863560, 34),
        (published_single(), 25.434112, 16),
        (published_single(2), 6.570400, 16),
    ],
    ids=["ae", "mmpose", "single-8", "single-2"],
)
def test_the_published_networks_have_the_published_size(config, millions, outputs):
    with torch.device("meta"):
        network = StackedHourglass(config)
    assert sum(p.numel() for p in network.parameters()) == round(millions * 1e6)
    assert network.stacks[-1].outputs.out_channels == outputs


def test_the_published_hourglass_widens_level_by_level():
    with torch.device("meta"):
        network = StackedHourglass(published_ae())
    deepest = network.stacks[0].hourglass.lower.lower.lower
    assert deepest.lower[0].conv.weight.shape == (768, 768, 3, 3)


def test_a_network_for_one_person_has_no_tags():
    network = StackedHourglass(replace(published_single(2), width=16)).eval()
    with torch.no_grad():
        maps = network(pictures(64, 64))
    assert maps.stacks[-1].heat.shape == (2, 16, 16, 16)
    assert maps.stacks[-1].tags.shape == (2, 0, 16, 16)


def test_pixels_by_imagenet():
    # White and the mean colour, by hand: (1 - mean) / deviation, and nothing.
    seen = []
    network = StackedHourglass(tiny(pixels="imagenet")).eval()
    network.stem[0].conv.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    white = torch.full((1, 3, 32, 32), 255.0)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None] * 255
    with torch.no_grad():
        network(white)
        network(mean.expand(1, 3, 32, 32))
    expected = torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225])
    torch.testing.assert_close(seen[0][0, :, 0, 0], expected)
    torch.testing.assert_close(seen[1], torch.zeros(1, 3, 32, 32), atol=1e-6, rtol=0)


BLOCKS = ["bottleneck", "preactivation", "plain", "depthwise5", "depthwise7", "inverted"]


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("outputs", [6, 10])
def test_every_block_keeps_the_size_and_teaches_its_weights(name, norm, outputs):
    torch.manual_seed(0)
    layer = block(name, 6, outputs, "silu", norm=norm)
    y = layer(torch.rand(2, 6, 5, 7))
    assert y.shape == (2, outputs, 5, 7)
    (y**2).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


# How far a block sees: half its largest kernel; a plain convolution of 3 sees one cell.
@pytest.mark.parametrize(("name", "reach"), list(zip(BLOCKS, [1, 1, 1, 2, 3, 1], strict=True)))
def test_how_far_a_block_sees(name, reach):
    torch.manual_seed(0)
    layer = block(name, 4, 4, "silu", norm=False)
    x = torch.rand(1, 4, 9, 9, requires_grad=True)
    layer(x)[0, :, 4, 4].sum().backward()
    seen = x.grad[0].abs().sum(0) > 0
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[4 - reach : 5 + reach, 4 - reach : 5 + reach] = True
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("name", BLOCKS)
def test_an_hourglass_of_every_block(name):
    network = StackedHourglass(tiny(block=name)).eval()
    with torch.no_grad():
        assert network(pictures(32, 32)).stacks[-1].heat.shape == (2, 17, 8, 8)


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
    # The repeated pass must not count the batch a second time in the running statistics.
    for (name, one), other in zip(plain.named_buffers(), saving.buffers(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0, msg=name)


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


def test_attention_by_its_definition():
    torch.manual_seed(0)
    layer = Attention(8, heads=2)
    torch.nn.init.normal_(layer.out.weight)
    x = torch.randn(2, 8, 3, 5)
    cells = x.flatten(2).transpose(1, 2)  # (2, 15, 8)
    q, k, v = layer.qkv(layer.norm(cells)).chunk(3, dim=-1)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        weights = (q[..., head] @ k[..., head].transpose(1, 2) / 4**0.5).softmax(-1)
        heads.append(weights @ v[..., head])
    change = layer.out(torch.cat(heads, -1)).transpose(1, 2).reshape(x.shape)
    # float32 sums of 15 and 8 terms around 1.
    torch.testing.assert_close(layer(x), x + change, atol=1e-5, rtol=1e-5)


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


def test_squared_relu():
    x = torch.tensor([-3.0, 0.0, 4.0])
    torch.testing.assert_close(activation("relu2")(x), torch.tensor([0.0, 0.0, 16.0]))
