"""The pieces networks are made of. Needs PyTorch; the serving path never imports it."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "ActivationName",
    "Attention",
    "BlockName",
    "Bottleneck",
    "Conv",
    "PlainBlock",
    "Pointwise",
    "activation",
    "block",
    "grid",
    "zero_conv",
]

ActivationName: TypeAlias = Literal["relu", "silu", "gelu", "hardswish"]
BlockName: TypeAlias = Literal["bottleneck", "plain"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
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
    ) -> None:
        super().__init__()
        self.conv: nn.Conv2d = (
            Pointwise(inputs, outputs, bias=not norm)
            if kernel == 1
            else nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=not norm)
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


def block(
    name: BlockName, inputs: int, outputs: int, act: ActivationName, *, norm: bool
) -> nn.Module:
    """The named block from ``inputs`` to ``outputs`` channels."""
    kind = Bottleneck if name == "bottleneck" else PlainBlock
    return kind(inputs, outputs, act, norm=norm)


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
        mixed = functional.scaled_dot_product_attention(q, k, v)
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
