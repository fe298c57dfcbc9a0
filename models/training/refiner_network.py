"""The refiner's network: a transformer over frames of tracks that are packed into one sequence.

Tokens of all tracks lie one after the other; every layer but attention looks at one token at a
time, and attention is ``kernels.varlen_attention``, so no padded token is computed. Places in a
track are told by turning queries and keys (Su et al. 2021, RoFormer). Needs PyTorch.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kernels import varlen_attention
from kernels.activations import GATED, activate, gate

__all__ = ["ActivationName", "Refiner", "RefinerConfig", "RefinerLayer", "Tokens", "turned"]

ActivationName: TypeAlias = Literal["swiglu", "geglu", "gelu", "silu", "relu2", "hard_swish"]

_SLOWEST = 200.0  # frames, over 2 pi, of the slowest turning pair


@dataclass(frozen=True, slots=True)
class RefinerConfig:
    """The shape of the network; saved inside its checkpoint."""

    inputs: int  # numbers of a token
    lag: int | None  # None sees the whole track, else only what is past, and the answer is late
    width: int = 96
    layers: int = 4
    heads: int = 4
    hidden: int = 192  # of a gated unit; an ungated one has half as many again, the same weights
    activation: ActivationName = "swiglu"
    outputs: int = 51
    checkpointing: bool = False  # recompute each layer in the backward pass


@dataclass(frozen=True, slots=True)
class Tokens:
    """Frames of S tracks, packed."""

    rows: Tensor  # (T, inputs)
    offsets: Tensor  # (S + 1,) int32
    positions: Tensor  # (T,) int64 place in its own track
    longest: int


class Refiner(nn.Module):
    """Tokens in, for each how far its joints are to move."""

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Linear(config.inputs, config.width)
        self.layers = nn.ModuleList(RefinerLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.leave = nn.Linear(config.width, config.outputs)
        # It starts as no correction at all: as good as the classical smoother.
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, tokens: Tokens) -> Tensor:
        """-> (T, outputs)."""
        x = self.enter(tokens.rows)
        turns = angles(tokens.positions, self.config.width // self.config.heads)
        for layer in self.layers:
            if self.config.checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer, x, turns, tokens, use_reentrant=False)
            else:
                x = layer(x, turns, tokens)
        out: Tensor = self.leave(self.norm(x))
        return out


class RefinerLayer(nn.Module):
    """Attention within each track, then a unit for each token; both added to their input."""

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        gated = config.activation in GATED
        hidden = config.hidden if gated else config.hidden * 3 // 2
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.widen = nn.Linear(width, 2 * hidden if gated else hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], tokens: Tokens) -> Tensor:
        """(T, width) -> (T, width)."""
        heads = self.config.heads
        q, k, v = self.qkv(self.norm1(x)).view(len(x), 3, heads, -1).unbind(1)  # (T, H, D) each
        mixed = varlen_attention(
            turned(q, turns),
            turned(k, turns),
            v,
            tokens.offsets,
            tokens.offsets,
            tokens.longest,
            tokens.longest,
            causal=self.config.lag is not None,
        )
        x = x + self.mixed(mixed.flatten(1))
        return x + self.unit(x)

    def unit(self, x: Tensor) -> Tensor:
        """(T, width) -> (T, width) each token by itself."""
        wide = nn.functional.linear(self.norm2(x), self.widen.weight)
        act = gate if self.config.activation in GATED else activate
        out: Tensor = self.narrow(act(wide, self.config.activation, self.widen.bias))
        return out


def angles(positions: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, 1, size / 2) by which the pairs of a head turn at each place."""
    pairs = torch.arange(size // 2, device=positions.device)
    rates = _SLOWEST ** (-pairs / max(size // 2 - 1, 1))
    angle = positions[:, None] * rates
    return angle.cos()[:, None], angle.sin()[:, None]


def turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """(T, H, D) with each pair (i, i + D / 2) turned."""
    cos, sin = turns
    first, second = x.chunk(2, 2)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], 2)
