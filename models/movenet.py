"""MoveNet's encoder and decoder as the first hourglass pass.

MoveNet ("Ultra fast and accurate pose detection model", Google, weights under Apache-2.0) is a
MobileNetV2 encoder (Sandler et al. 2018), a feature pyramid down to stride 4 and CenterNet-like
heads: joint heatmaps, a map of person centres, and from each centre the way to every joint.
Two sizes with the same topology: Lightning (width 1.0) and MultiPose (width 1.5).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "EARLY_BLOCKS",
    "HEAD_CHANNELS",
    "LIGHTNING",
    "MULTIPOSE",
    "TRUNK_CHANNELS",
    "MoveNetTrunk",
    "TrunkConfig",
    "TrunkMaps",
]

TRUNK_CHANNELS = 24  # of the stride-4 features
HEAD_CHANNELS = 96  # hidden in each head
_JOINTS = 17
_EXPANSION = 6  # MobileNetV2, table 2
_STRIDE_TWO = (1, 3, 6, 13)  # blocks that halve the map
_SKIPS = (2, 5, 9)  # blocks whose output the decoder takes in, at strides 4, 8, 16
_SIDES = (2, 5, 9, 16)  # blocks whose output goes on to the hourglasses, at strides 4 to 32
EARLY_BLOCKS = 6  # of the encoder, down to stride 8: half of the time, what all pictures share
_SIDE = (64, 32, TRUNK_CHANNELS)  # decoder channels at strides 16, 8, 4
# The graph computes x * 0.00784302 - 1 (2/255 in half precision) from RGB 0..255.
_INPUT_SCALE = 0.00784302


@dataclass(frozen=True, slots=True)
class TrunkConfig:
    """Channel counts of one MoveNet."""

    stem: int
    blocks: tuple[int, ...]  # (17,) outputs of the inverted residuals
    last: int

    @property
    def sides(self) -> tuple[int, ...]:
        """Channels of the encoder's maps at strides 4, 8, 16 and 32."""
        return tuple(self.blocks[k] for k in _SIDES)


LIGHTNING = TrunkConfig(
    32, (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320), 1280
)
MULTIPOSE = TrunkConfig(
    48, (24, 40, 40, 48, 48, 48, 96, 96, 96, 96, 144, 144, 144, 240, 240, 240, 480), 1280
)


class TrunkMaps(NamedTuple):
    """What the trunk gives to the stacks above it, at stride 4 unless said."""

    features: Tensor  # (B, 24, h, w)
    hidden: Tensor  # (B, 3 * 96, h, w) of the three heads
    joint_logits: Tensor  # (B, 17, h, w)
    center_logits: Tensor  # (B, 1, h, w)
    regress_cell: Tensor  # (B, 34, h, w) from a centre's cell to each joint: y, x in cells
    sides: list[Tensor]  # the encoder's own maps at strides 4, 8, 16, 32


class MoveNetTrunk(nn.Module):
    """MoveNet without its grouping: RGB 0..255 in, maps at stride 4 out."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(3, config.stem, 3, 2)
        sizes = (config.stem, *config.blocks)
        self.blocks = nn.ModuleList(
            _InvertedResidual(sizes[k], sizes[k + 1], 2 if k in _STRIDE_TWO else 1, expand=k > 0)
            for k in range(len(config.blocks))
        )
        self.last = nn.Conv2d(config.blocks[-1], config.last, 1)
        self.top = nn.Conv2d(config.last, _SIDE[0], 1)
        self.lateral = nn.ModuleList(
            nn.Conv2d(config.blocks[k], side, 1)
            for k, side in zip(reversed(_SKIPS), _SIDE, strict=True)
        )
        outputs = (*_SIDE[1:], TRUNK_CHANNELS)
        self.smooth = nn.ModuleList(
            _Separable(side, out) for side, out in zip(_SIDE, outputs, strict=True)
        )
        self.joints = _Head(_JOINTS)
        self.center = _Head(1)
        self.regress = _Head(2 * _JOINTS)

    def forward(self, x: Tensor) -> TrunkMaps:
        """(B, 3, H, W) RGB 0..255 with H and W multiples of 32."""
        x = functional.relu6(self.stem(_pad_right_below(x * _INPUT_SCALE - 1)))
        fine = _run(self.blocks[: _SIDES[0] + 1], x)[-1]
        return self.late(fine, _run(self.blocks[_SIDES[0] + 1 : EARLY_BLOCKS], fine)[-1])

    def late(self, fine: Tensor, middle: Tensor) -> TrunkMaps:
        """All but the first blocks, for training on first blocks that are frozen.

        Args:
            fine: (B, C, H / 4, W / 4) the encoder's map at stride 4, the first of ``sides``.
            middle: (B, C, H / 8, W / 8) at stride 8, the second.
        """
        features, sides = self._features(fine, middle)
        joints, joints_hidden = self.joints(features)
        center, center_hidden = self.center(features)
        regress, regress_hidden = self.regress(features)
        hidden = torch.cat([joints_hidden, center_hidden, regress_hidden], 1)
        return TrunkMaps(features, hidden, joints, center, regress, sides)

    def _features(self, fine: Tensor, middle: Tensor) -> tuple[Tensor, list[Tensor]]:
        late = _run(self.blocks[EARLY_BLOCKS:], middle)
        outputs = {_SIDES[0]: fine, _SIDES[1]: middle}
        outputs |= {EARLY_BLOCKS + k: output for k, output in enumerate(late)}
        x = self.top(functional.relu6(self.last(late[-1])))
        for skip, lateral, smooth in zip(reversed(_SKIPS), self.lateral, self.smooth, strict=True):
            up = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = smooth(up + lateral(outputs[skip]))
        return x, [outputs[k] for k in _SIDES]


def _run(blocks: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """The output of every block."""
    outputs = []
    for module in blocks:
        x = module(x)
        outputs.append(x)
    return outputs


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, *, expand: bool) -> None:
        super().__init__()
        middle = inputs * _EXPANSION if expand else inputs
        self.expand = nn.Conv2d(inputs, middle, 1) if expand else None
        self.depthwise = nn.Conv2d(
            middle, middle, 3, stride, 0 if stride == 2 else 1, groups=middle
        )
        self.project = nn.Conv2d(middle, outputs, 1)
        self.adds = expand and stride == 1 and inputs == outputs
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self.expand(x)) if self.expand is not None else x
        if self.stride == 2:
            y = _pad_right_below(y)
        y = self.project(functional.relu6(self.depthwise(y)))
        out: Tensor = x + y if self.adds else y
        return out


class _Separable(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = functional.relu(self.pointwise(self.depthwise(x)))
        return y


class _Head(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.mix = _Separable(TRUNK_CHANNELS, HEAD_CHANNELS)
        self.out = nn.Conv2d(HEAD_CHANNELS, outputs, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.mix(x)
        return self.out(hidden), hidden


def _pad_right_below(x: Tensor) -> Tensor:
    """TensorFlow's SAME padding for a stride of two on an even side."""
    return functional.pad(x, (0, 1, 0, 1))
