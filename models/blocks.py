"""The pieces networks are made of. Needs PyTorch; the serving path never imports it."""

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from kernels import attention
from kernels.activations import activate

__all__ = [
    "ActivationName",
    "Attention",
    "BlockName",
    "Bottleneck",
    "Conv",
    "DepthwiseBlock",
    "InvertedBlock",
    "PlainBlock",
    "Pointwise",
    "PreactivationBlock",
    "activation",
    "block",
    "grid",
    "zero_conv",
]

ActivationName: TypeAlias = Literal["relu", "relu2", "silu", "gelu", "hardswish"]
BlockName: TypeAlias = Literal[
    "bottleneck", "preactivation", "plain", "depthwise5", "depthwise7", "inverted"
]

# MobileNetV2 widens six times; at twice an hourglass costs what it costs with bottlenecks.
_EXPANSION = 2


class _SquaredRelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return activate(x, "relu2")


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu2": _SquaredRelu,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
}


def activation(name: ActivationName) -> nn.Module:
    """The named activation function, not in place so that checkpointing may replay it."""
    return _ACTIVATIONS[name]()


class Pointwise(nn.Conv2d):
    """A 1x1 convolution that trains as one matrix product over the cells.

    On a CPU with channels last, the backward pass of the whole network took 0.27 s instead of
    0.48 s (8 pictures of 256 px, one core, Zen 3). Otherwise it is an ordinary convolution, so
    that the export sees one.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        if not self.training:
            return super().forward(x)
        cells = x.permute(0, 2, 3, 1)  # (B, H, W, inputs)
        mixed = functional.linear(cells, self.weight.flatten(1), self.bias)
        return mixed.permute(0, 3, 1, 2)


class Conv(nn.Module):
    """Convolution, then normalisation if asked for, then an activation if named."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        act: ActivationName | None,
        *,
        norm: bool,
        stride: int = 1,
        groups: int = 1,
        bias: bool | None = None,
    ) -> None:
        """Build it.

        Args:
            inputs: channels.
            outputs: channels.
            kernel: side, odd.
            act: activation.
            norm: normalise over the batch.
            stride: 1, or 2 to halve the map.
            groups: as many as channels for a depthwise convolution.
            bias: None has one where no normalisation takes it out again.
        """
        super().__init__()
        biased = not norm if bias is None else bias
        self.conv: nn.Conv2d = (
            Pointwise(inputs, outputs, bias=biased)
            if kernel == 1
            else nn.Conv2d(
                inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=biased
            )
        )
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.act = activation(act) if act is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same size, or shrunk by the stride."""
        y: Tensor = self.act(self.norm(self.conv(x)))
        return y


class Bottleneck(nn.Module):
    """Residual block through half the channels: 1x1, 3x3, 1x1 (He et al. 2016, figure 5)."""

    def __init__(self, inputs: int, outputs: int, act: ActivationName, *, norm: bool) -> None:
        super().__init__()
        middle = outputs // 2
        self.reduce = Conv(inputs, middle, 1, act, norm=norm)
        self.mix = Conv(middle, middle, 3, act, norm=norm)
        self.expand = Conv(middle, outputs, 1, None, norm=norm)
        self.skip = nn.Identity() if inputs == outputs else Pointwise(inputs, outputs)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        y: Tensor = self.act(self.skip(x) + self.expand(self.mix(self.reduce(x))))
        return y


class PlainBlock(Conv):
    """One 3x3 convolution, the block of the published associative-embedding network."""

    def __init__(self, inputs: int, outputs: int, act: ActivationName, *, norm: bool) -> None:
        super().__init__(inputs, outputs, 3, act, norm=norm)


class PreactivationBlock(nn.Module):
    """Residual block that normalises before it convolves (He et al. 2016, Identity Mappings).

    The block of the published single-person network.
    """

    def __init__(self, inputs: int, outputs: int, act: ActivationName, *, norm: bool) -> None:
        super().__init__()
        middle = outputs // 2
        self.norm1 = nn.BatchNorm2d(inputs) if norm else nn.Identity()
        self.reduce = Pointwise(inputs, middle)
        self.norm2 = nn.BatchNorm2d(middle) if norm else nn.Identity()
        self.mix = nn.Conv2d(middle, middle, 3, padding=1)
        self.norm3 = nn.BatchNorm2d(middle) if norm else nn.Identity()
        self.expand = Pointwise(middle, outputs)
        self.skip = nn.Identity() if inputs == outputs else Pointwise(inputs, outputs)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        y = self.reduce(self.act(self.norm1(x)))
        y = self.mix(self.act(self.norm2(y)))
        y = self.expand(self.act(self.norm3(y)))
        total: Tensor = y + self.skip(x)
        return total


class DepthwiseBlock(nn.Module):
    """Residual block of a wide convolution in every channel alone, then a 1x1 over them."""

    def __init__(
        self, inputs: int, outputs: int, act: ActivationName, *, norm: bool, kernel: int
    ) -> None:
        super().__init__()
        self.spread = Conv(inputs, inputs, kernel, act, norm=norm, groups=inputs)
        self.mix = Conv(inputs, outputs, 1, None, norm=norm)
        self.skip = nn.Identity() if inputs == outputs else Pointwise(inputs, outputs)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        y: Tensor = self.act(self.skip(x) + self.mix(self.spread(x)))
        return y


class InvertedBlock(nn.Module):
    """Residual block through more channels, mixed depthwise (Sandler et al. 2018, MobileNetV2)."""

    def __init__(self, inputs: int, outputs: int, act: ActivationName, *, norm: bool) -> None:
        super().__init__()
        middle = _EXPANSION * inputs
        self.widen = Conv(inputs, middle, 1, act, norm=norm)
        self.spread = Conv(middle, middle, 3, act, norm=norm, groups=middle)
        self.project = Conv(middle, outputs, 1, None, norm=norm)
        self.skip = nn.Identity() if inputs == outputs else Pointwise(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        y: Tensor = self.skip(x) + self.project(self.spread(self.widen(x)))
        return y


_BLOCKS: dict[str, Callable[..., nn.Module]] = {
    "bottleneck": Bottleneck,
    "preactivation": PreactivationBlock,
    "plain": PlainBlock,
    "depthwise5": partial(DepthwiseBlock, kernel=5),
    "depthwise7": partial(DepthwiseBlock, kernel=7),
    "inverted": InvertedBlock,
}


def block(
    name: BlockName, inputs: int, outputs: int, act: ActivationName, *, norm: bool
) -> nn.Module:
    """The named block from ``inputs`` to ``outputs`` channels."""
    return _BLOCKS[name](inputs, outputs, act, norm=norm)


class Attention(nn.Module):
    """Self-attention over all cells of a small map, added to its input.

    It starts as the identity (its last layer is zero), so adding it harms nothing learned.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        cells = x.flatten(2).transpose(1, 2)  # (B, H W, C)
        qkv = self.qkv(self.norm(cells)).reshape(
            batch, height * width, 3, self.heads, channels // self.heads
        )
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, H W, C / heads)
        # Ours on CUDA. An export traces on the CPU, where it is PyTorch's, which ONNX can express.
        mixed = attention(q, k, v)
        mixed = mixed.transpose(1, 2).reshape(batch, height * width, channels)
        change: Tensor = self.out(mixed).transpose(1, 2)  # (B, C, H W)
        return x + change.reshape(batch, channels, height, width)


def grid(x: Tensor) -> Tensor:
    """Where each cell lies in the picture, from -1 to 1.

    Args:
        x: (B, C, H, W) any map.

    Returns:
        (B, 2, H, W) x then y; the first cell is -1, one past the last would be 1.
    """
    # Cumulative sums of ones instead of arange: the export then follows any input size.
    ones = torch.ones_like(x[:, :1])  # (B, 1, H, W)
    height, width = x.shape[2], x.shape[3]
    xs = (ones.cumsum(3) - 1) / width * 2 - 1
    ys = (ones.cumsum(2) - 1) / height * 2 - 1
    return torch.cat([xs, ys], 1)


def zero_conv(inputs: int, outputs: int) -> Pointwise:
    """A 1x1 convolution that says nothing until it has learned something."""
    conv = Pointwise(inputs, outputs)
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None, "nn.Conv2d has a bias unless told otherwise"
    nn.init.zeros_(conv.bias)
    return conv
