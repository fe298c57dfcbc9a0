"""MoveNet's encoder and decoder as the first hourglass pass, with weights from its ONNX file.

MoveNet ("Ultra fast and accurate pose detection model", Google, weights under Apache-2.0) is a
MobileNetV2 encoder (Sandler et al. 2018), a feature pyramid down to stride 4 and CenterNet-like
heads: joint heatmaps, a map of person centres, and from each centre the way to every joint.
Two sizes with the same topology: Lightning (width 1.0) and MultiPose (width 1.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from .errors import CheckpointMismatch

__all__ = [
    "HEAD_CHANNELS",
    "LIGHTNING",
    "MULTIPOSE",
    "TRUNK_CHANNELS",
    "MoveNetTrunk",
    "TrunkConfig",
    "TrunkMaps",
    "import_trunk",
]

TRUNK_CHANNELS = 24  # of the stride-4 features
HEAD_CHANNELS = 96  # hidden in each head
_JOINTS = 17
_EXPANSION = 6  # MobileNetV2, table 2
_STRIDE_TWO = (1, 3, 6, 13)  # blocks that halve the map
_SKIPS = (2, 5, 9)  # blocks whose output the decoder takes in, at strides 4, 8, 16
_SIDE = (64, 32, TRUNK_CHANNELS)  # decoder channels at strides 16, 8, 4
# The graph computes x * 0.00784302 - 1 (2/255 in half precision) from RGB 0..255.
_INPUT_SCALE = 0.00784302


@dataclass(frozen=True, slots=True)
class TrunkConfig:
    """Channel counts of one MoveNet."""

    stem: int
    blocks: tuple[int, ...]  # (17,) outputs of the inverted residuals
    last: int


LIGHTNING = TrunkConfig(
    32, (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320), 1280
)
MULTIPOSE = TrunkConfig(
    48, (24, 40, 40, 48, 48, 48, 96, 96, 96, 96, 144, 144, 144, 240, 240, 240, 480), 1280
)


class TrunkMaps(NamedTuple):
    """What the trunk gives to the stacks above it, all at stride 4."""

    features: Tensor  # (B, 24, h, w)
    hidden: Tensor  # (B, 3 * 96, h, w) of the three heads
    joint_logits: Tensor  # (B, 17, h, w)
    center_logits: Tensor  # (B, 1, h, w)
    regress_cell: Tensor  # (B, 34, h, w) from a centre's cell to each joint: y, x in cells


class MoveNetTrunk(nn.Module):
    """MoveNet without its grouping: RGB 0..255 in, maps at stride 4 out."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
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
        features = self._features(x * _INPUT_SCALE - 1)
        joints, joints_hidden = self.joints(features)
        center, center_hidden = self.center(features)
        regress, regress_hidden = self.regress(features)
        hidden = torch.cat([joints_hidden, center_hidden, regress_hidden], 1)
        return TrunkMaps(features, hidden, joints, center, regress)

    def _features(self, x: Tensor) -> Tensor:
        x = functional.relu6(self.stem(_pad_right_below(x)))
        skips = []
        for index, module in enumerate(self.blocks):
            x = module(x)
            if index in _SKIPS:
                skips.append(x)
        x = self.top(functional.relu6(self.last(x)))
        for lateral, smooth in zip(self.lateral, self.smooth, strict=True):
            up = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = smooth(up + lateral(skips.pop()))
        return x


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


def import_trunk(trunk: MoveNetTrunk, path: Path) -> None:
    """Fill a trunk with the weights of a MoveNet ONNX file.

    Args:
        trunk: built with the configuration that fits the file.
        path: ``movenet-multipose.onnx`` or ``movenet-lightning.onnx``.

    Raises:
        CheckpointMismatch: a convolution is missing or has another shape.
    """
    stored = _read_convolutions(path)
    state = trunk.state_dict()
    for ours, theirs in _names().items():
        if theirs not in stored:
            raise CheckpointMismatch(
                f"{path.name} has no convolution {theirs!r}; give a MoveNet ONNX file"
            )
        weight, bias = stored[theirs]
        for suffix, value in (("weight", weight), ("bias", bias)):
            key = f"{ours}.{suffix}"
            if key not in state:
                continue
            if value is None or value.shape != tuple(state[key].shape):
                found = None if value is None else value.shape
                raise CheckpointMismatch(
                    f"{path.name}: {theirs!r} has {found}, the trunk needs "
                    f"{tuple(state[key].shape)}; choose the trunk of this file"
                )
            state[key] = torch.from_numpy(value.copy())
    trunk.load_state_dict(state)


def _names() -> Mapping[str, str]:
    """Our module name -> the convolution's name in the ONNX file."""
    names = {"stem": "Conv1", "last": "Conv_1", "top": "conv2d"}
    for k in range(17):
        theirs = f"block_{k}" if k else "expanded_conv"
        if k:
            names[f"blocks.{k}.expand"] = f"{theirs}_expand"
        names[f"blocks.{k}.depthwise"] = f"{theirs}_depthwise"
        names[f"blocks.{k}.project"] = f"{theirs}_project"
    for level, theirs in enumerate(
        ("separable_conv2d", "separable_conv2d_1", "separable_conv2d_2")
    ):
        names[f"lateral.{level}"] = f"conv2d_{level + 1}"
        names[f"smooth.{level}.depthwise"] = f"{theirs}.depthwise"
        names[f"smooth.{level}.pointwise"] = theirs
    heads = (("joints", "kpt_heatmap_0"), ("center", "center_0"), ("regress", "kpt_regress_0"))
    for ours, theirs in heads:
        names[f"{ours}.mix.depthwise"] = f"{theirs}/separable.depthwise"
        names[f"{ours}.mix.pointwise"] = f"{theirs}/separable"
        names[f"{ours}.out"] = f"{theirs}/conv"
    return names


def _read_convolutions(
    path: Path,
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Weights and biases of every convolution under its bare name."""
    graph = onnx.load(str(path)).graph
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    found = {}
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        weight = constants[node.input[1]].astype(np.float32)
        has_bias = len(node.input) > 2
        bias = constants[node.input[2]].astype(np.float32) if has_bias else None
        found[_bare_name(node.input[2] if has_bias else node.output[0])] = (weight, bias)
    return found


def _bare_name(tensor: str) -> str:
    """``.../model/block_3_expand/Conv2D_bn_offset:0`` -> ``block_3_expand``."""
    name = tensor.split(":")[0].replace("StatefulPartitionedCall/", "")
    if "model_1/" in name:
        name = name.split("model_1/")[-1]
    name = name.removeprefix("model/")
    for suffix, mark in (
        ("/separable_conv2d/depthwise", ".depthwise"),
        ("/separable_conv2d_bn_offset", ""),
        ("/depthwise_bn_offset", ""),
        ("/Conv2D_bn_offset", ""),
        ("/BiasAdd/ReadVariableOp", ""),
    ):
        if name.endswith(suffix):
            name = name.removesuffix(suffix) + mark
            break
    # In a head the number after the layer's name only counts layers of the whole model.
    if "/" in name and not name.startswith("block"):
        head, layer = name.split("/", 1)
        kind = "separable" if "separable" in layer else "conv"
        name = f"{head}/{kind}" + (".depthwise" if name.endswith(".depthwise") else "")
    return name


def _pad_right_below(x: Tensor) -> Tensor:
    """TensorFlow's SAME padding for a stride of two on an even side."""
    return functional.pad(x, (0, 1, 0, 1))
