"""Stacked hourglasses that find joints and tag them with the person they belong to.

One network, two ways into it:

- *published*: a stem that quarters the picture, then S hourglasses, each predicting heatmaps and
  tag maps that are mixed back into the features for the next one (Newell, Yang, Deng, "Stacked
  Hourglass Networks", 2016; Newell, Huang, Deng, "Associative Embedding", 2017).
- *pretrained path*: MoveNet's encoder and decoder is the first pass; its own joint heatmaps are
  the first supervised output and every hourglass above adds a correction to their logits.

Needs PyTorch; the serving path runs the exported file instead.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from .architectures import (
    HourglassConfig,
    PixelsName,
    mmpose_ae,
    published_ae,
    published_single,
    quadglass_m,
    quadglass_s,
    small,
)
from .blocks import Attention, Conv, Pointwise, block, grid, zero_conv
from .movenet import HEAD_CHANNELS, LIGHTNING, MULTIPOSE, TRUNK_CHANNELS, MoveNetTrunk, TrunkMaps
from .stems import stem

__all__ = [
    "FIELD_CELLS",
    "IMAGENET_DEVIATION",
    "IMAGENET_MEAN",
    "Hourglass",
    "HourglassConfig",
    "PoseMaps",
    "StackMaps",
    "StackedHourglass",
    "mmpose_ae",
    "published_ae",
    "published_single",
    "quadglass_m",
    "quadglass_s",
    "small",
]

# The centre field is predicted in units of eight cells: targets then stay near one.
FIELD_CELLS = 8.0
# Of ImageNet's pictures, RGB in 0 to 1, as torchvision has them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class StackMaps(NamedTuple):
    """What one stack says, at a quarter of the input's size."""

    heat: Tensor  # (B, J, h, w), in [0, 1] on the pretrained path
    tags: Tensor  # (B, J, h, w), no channels at all in a network for one person
    field: Tensor | None  # (B, 3 J, h, w) x and y to the centre in FIELD_CELLS, log size


class PoseMaps(NamedTuple):
    """All that the network says about a batch."""

    stacks: list[StackMaps]  # first to last; all are supervised, the last is decoded
    trunk: TrunkMaps | None


class Hourglass(nn.Module):
    """Down, the same again at half the size, up, added to what stayed at full size."""

    def __init__(
        self, config: HourglassConfig, depth: int, width: int, sides: tuple[int, ...] = ()
    ) -> None:
        """Build one level and those below it.

        Args:
            config: of the network.
            depth: levels from here down.
            width: channels at this level.
            sides: channels of an encoder's maps to take in at the levels below, if any.
        """
        super().__init__()
        inner = width + config.growth
        self.side = zero_conv(sides[0], inner) if sides else None
        self.up = _block(config, width, width)
        self.enter = _block(config, width, inner)
        if depth > 1:
            self.lower: nn.Module = Hourglass(config, depth - 1, inner, sides[1:])
        else:
            bottom = [_block(config, inner, inner)]
            if config.attention:
                bottom.append(Attention(inner))
            self.lower = nn.Sequential(*bottom)
        self.leave = _block(config, inner, width)

    def forward(self, x: Tensor, sides: list[Tensor]) -> Tensor:
        """(B, width, h, w) -> the same, h and w divisible by 2 ** depth."""
        y = self.enter(functional.max_pool2d(x, 2))
        if self.side is not None:
            y = y + self.side(sides[0])
        y = self.lower(y, sides[1:]) if isinstance(self.lower, Hourglass) else self.lower(y)
        y = self.leave(y)
        up: Tensor = self.up(x) + functional.interpolate(y, scale_factor=2.0, mode="nearest")
        return up


class StackedHourglass(nn.Module):
    """Pictures in, heatmaps and tag maps of every stack out."""

    def __init__(self, config: HourglassConfig) -> None:
        super().__init__()
        self.config = config
        width, joints = config.width, config.joints
        self.trunk: MoveNetTrunk | None = None
        sides: tuple[int, ...] = ()
        if config.front.startswith("movenet"):
            trunk = LIGHTNING if "lightning" in config.front else MULTIPOSE
            self.trunk = MoveNetTrunk(trunk)
            sides = trunk.sides
            self.side = zero_conv(sides[0], width)
            inputs = TRUNK_CHANNELS + 3 * HEAD_CHANNELS + 2
            self.first_tags = Pointwise(inputs, joints)
            self.stem: nn.Module = nn.Sequential(
                Conv(inputs + joints, width, 1, config.activation, norm=True),
                _block(config, width, width),
            )
        else:
            self.stem = stem(config)
        self.stacks = nn.ModuleList(_Stack(config, sides[1:]) for _ in range(config.stacks))
        outputs = _output_channels(config)
        between = range(config.stacks - 1)
        self.merge_features = nn.ModuleList(_merge(config, width) for _ in between)
        self.merge_outputs = nn.ModuleList(_merge(config, outputs) for _ in between)

    def forward(self, x: Tensor) -> PoseMaps:
        """(B, 3, H, W) RGB 0..255 -> maps at H / 4, W / 4; H and W are multiples of 32 or 64."""
        trunk = self.trunk(x) if self.trunk is not None else None
        return self.above(x, trunk)

    def above(self, x: Tensor, trunk: TrunkMaps | None) -> PoseMaps:
        """The stacks alone, for training on a trunk that is frozen.

        Args:
            x: (B, 3, H, W) RGB 0..255, not looked at if there is a trunk.
            trunk: what the trunk said of ``x``.
        """
        found: list[StackMaps] = []
        logits: Tensor | None = None
        sides: list[Tensor] = []
        if trunk is not None:
            known = torch.cat([trunk.features, trunk.hidden, grid(trunk.features)], 1)
            logits = trunk.joint_logits
            heat = logits.sigmoid()
            found.append(StackMaps(heat, self.first_tags(known), None))
            y = self._run(self.stem, torch.cat([known, heat], 1)) + self.side(trunk.sides[0])
            sides = trunk.sides[1:]
        else:
            y = self._run(self.stem, _normalised(x, self.config.pixels))
        for index in range(len(self.stacks)):
            y, raw, logits = self._run(self._advance, index, y, logits, sides)
            found.append(_split(self.config, raw))
        return PoseMaps(found, trunk)

    def _advance(
        self, index: int, y: Tensor, logits: Tensor | None, sides: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """One stack: the next one's input, all outputs in one tensor, the heatmap logits."""
        features, raw, logits = self.stacks[index](y, logits, sides)
        if index + 1 < len(self.stacks):
            y = y + self.merge_features[index](features) + self.merge_outputs[index](raw)
        return y, raw, logits

    def _run(self, part: Callable[..., Any], *given: Any) -> Any:
        """What a part of the network says; with checkpointing only its input is kept."""
        if not (self.config.checkpointing and torch.is_grad_enabled()):
            return part(*given)
        again = partial(_replay, self)
        return checkpoint(part, *given, use_reentrant=False, context_fn=again)


class _Stack(nn.Module):
    """One hourglass, the blocks after it and its outputs."""

    def __init__(self, config: HourglassConfig, sides: tuple[int, ...]) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.hourglass = Hourglass(config, config.depth, width, sides)
        features = [_block(config, width, width) for _ in range(config.features)]
        if config.closing:
            features.append(Conv(width, width, 1, config.activation, norm=config.norm, bias=True))
        self.features = nn.Sequential(*features)
        if config.center_field:
            act, joints = config.activation, config.joints
            # Starts as no correction at all, so the trunk's heatmaps are the first guess.
            self.heat = zero_conv(width, joints)
            self.field = nn.Sequential(
                Conv(width + 2, width, 1, act, norm=config.norm), Pointwise(width, 3 * joints)
            )
            self.tags = nn.Sequential(
                Conv(width + 2 + 3 * joints, width, 1, act, norm=config.norm),
                Pointwise(width, joints),
            )
        else:
            self.outputs = Pointwise(width, _output_channels(config))

    def forward(
        self, x: Tensor, logits: Tensor | None, sides: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features, all outputs in one tensor, and the heatmap logits for the next stack."""
        y = self.features(self.hourglass(x, sides))
        if not self.config.center_field:
            return y, self.outputs(y), None
        place = grid(y)
        correction = self.heat(y)
        logits = correction if logits is None else logits + correction
        field = self.field(torch.cat([y, place], 1))
        tags = self.tags(torch.cat([y, place, _centers(field, place)], 1))
        return y, torch.cat([logits.sigmoid(), tags, field], 1), logits


def _centers(field: Tensor, place: Tensor) -> Tensor:
    """The field with its offsets made places in the picture, what a tag can be read from.

    Args:
        field: (B, 3 J, h, w) offsets in FIELD_CELLS and log size.
        place: (B, 2, h, w) from ``grid``.

    Returns:
        (B, 3 J, h, w) x and y of the centre from -1 to 1, and the log size as it was.
    """
    joints = field.shape[1] // 3
    x = field[:, :joints] * (FIELD_CELLS * 2 / field.shape[3]) + place[:, :1]
    y = field[:, joints : 2 * joints] * (FIELD_CELLS * 2 / field.shape[2]) + place[:, 1:]
    return torch.cat([x, y, field[:, 2 * joints :]], 1)


def _split(config: HourglassConfig, raw: Tensor) -> StackMaps:
    joints = config.joints
    field = raw[:, 2 * joints :] if config.center_field else None
    tags = raw[:, joints : 2 * joints] if config.tags else raw[:, :0]
    return StackMaps(raw[:, :joints], tags, field)


def _output_channels(config: HourglassConfig) -> int:
    maps = 1 + config.tags + 3 * config.center_field
    return config.joints * maps + config.spare_outputs


def _merge(config: HourglassConfig, inputs: int) -> nn.Module:
    """What a stack found, on its way into the next one's input."""
    if config.merge_norm:
        return Conv(inputs, config.width, 1, None, norm=True)
    return Pointwise(inputs, config.width)


def _normalised(x: Tensor, pixels: PixelsName) -> Tensor:
    """(B, 3, H, W) RGB 0..255 as the network was trained to see it."""
    x = x / 255
    if pixels == "unit":
        return x
    mean = x.new_tensor(IMAGENET_MEAN)[:, None, None]
    return (x - mean) / x.new_tensor(IMAGENET_DEVIATION)[:, None, None]


def _replay(
    network: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The forward pass as it is, and its repetition without a second look at the statistics."""
    return nullcontext(), _unrecorded(network)


@contextmanager
def _unrecorded(network: nn.Module) -> Iterator[None]:
    """Running means and variances stay as they are, or each batch would count twice."""
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # Not `track_running_stats`: the pass must save the tensors that the first one saved.
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, seen) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, seen


def _block(config: HourglassConfig, inputs: int, outputs: int) -> nn.Module:
    return block(config.block, inputs, outputs, config.activation, norm=config.norm)
