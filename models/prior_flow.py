"""Normalizing flows: NICE, RealNVP and Glow-style couplings as one small family.

Dinh et al., NICE (2014): additive couplings and one diagonal scaling. Dinh et al., Density
estimation using Real NVP (2016): affine couplings. Kingma and Dhariwal, Glow (2018): actnorm and
an invertible 1x1 convolution before each affine coupling; here a position is a joint and its
channels are its three coordinates.

Unseen positions pass through every layer unchanged and are shown to no network, so what is left is
a flow over the seen ones, exactly normalised, for any mask.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

__all__ = ["Family", "Flow", "FlowConfig"]

Family: TypeAlias = Literal["nice", "realnvp", "glow"]

_LARGEST_LOG_SCALE = 1.5  # of one coupling: e^1.5; without a bound training diverges now and then
_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """The shape of a flow."""

    family: Family = "glow"
    positions: int = 17
    channels: int = 3
    layers: int = 10
    hidden: int = 96
    dropout: float = 0.0
    seed: int = 0  # of which columns each coupling changes


class Flow(nn.Module):
    """Data (B, positions * channels) to standard normal noise and back."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        dims = config.positions * config.channels
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("scale", torch.ones(dims))
        self.mean: Tensor
        self.scale: Tensor
        layers: list[_Layer] = []
        generator = torch.Generator().manual_seed(config.seed)
        for number in range(config.layers):
            if number % 2 == 0:
                order = torch.randperm(dims, generator=generator)
            changed = torch.zeros(dims)
            changed[order[: dims // 2] if number % 2 == 0 else order[dims // 2 :]] = 1
            if config.family == "glow":
                layers.append(_ActNorm(dims))
                layers.append(_Mixing(config.positions, config.channels, generator))
            layers.append(_Coupling(config, changed))
        if config.family == "nice":
            layers.append(_ActNorm(dims))
        self.layers = nn.ModuleList(layers)

    def fit_scale(self, data: Tensor) -> None:
        """Take mean and spread from data (B, dims), so that layers begin at the identity."""
        self.mean.copy_(data.mean(0))
        self.scale.copy_(data.std(0) + 1e-6)

    def forward(self, data: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Noise and the logarithm of the determinant.

        Args:
            data: (B, dims), zero where unseen.
            seen: (B, positions) ones and zeros.

        Returns:
            (B, dims), zero where unseen, and (B, 1).
        """
        wide = self._wide(seen)
        noise = (data - self.mean) / self.scale * wide
        log_det = -(wide * torch.log(self.scale)) @ _column(wide.shape[-1], data.dtype)
        for layer in self.layers:
            noise, more = layer(noise, seen, wide)
            log_det = log_det + more
        return noise, log_det

    def inverse(self, noise: Tensor, seen: Tensor) -> Tensor:
        """Data (B, dims) from noise; zero where unseen."""
        wide = self._wide(seen)
        data = noise * wide
        for layer in reversed(self.layers):
            assert isinstance(layer, _Layer)
            data = layer.inverse(data, seen, wide)
        return (data * self.scale + self.mean) * wide

    def log_prob(self, data: Tensor, seen: Tensor) -> Tensor:
        """(B, 1) nats; the density is over the seen columns."""
        noise, log_det = self(data, seen)
        wide = self._wide(seen)
        each = 0.5 * noise * noise + _HALF_LOG_TAU
        nats: Tensor = log_det - (each * wide) @ _column(wide.shape[-1], data.dtype)
        return nats

    def fix(self) -> None:
        """Multiply out what weights alone decide; for export, training is over then."""
        for layer in self.layers:
            if isinstance(layer, _Mixing):
                layer.fixed = _block_diagonal(layer._matrices()).detach()

    def _wide(self, seen: Tensor) -> Tensor:
        """What is seen of each column (B, dims)."""
        return seen @ _widening(self.config.positions, self.config.channels, seen.dtype)


class _Layer(nn.Module):
    """One invertible step; ``forward`` gives its output and the log-determinant (B, 1)."""

    def inverse(self, data: Tensor, seen: Tensor, wide: Tensor) -> Tensor:
        """Input from output."""
        raise NotImplementedError


class _ActNorm(_Layer):
    """A scale and a shift of each column."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(dims))
        self.shift = nn.Parameter(torch.zeros(dims))

    def forward(self, data: Tensor, seen: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
        return (data * torch.exp(self.log_scale) + self.shift) * wide, wide @ self.log_scale[
            :, None
        ]

    def inverse(self, data: Tensor, seen: Tensor, wide: Tensor) -> Tensor:
        """Input from output."""
        return (data - self.shift) * torch.exp(-self.log_scale) * wide


class _Mixing(_Layer):
    """An invertible matrix per position over its channels, as permutation, lower, upper part."""

    def __init__(self, positions: int, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        order = torch.stack(
            [torch.randperm(channels, generator=generator) for _ in range(positions)]
        )
        self.register_buffer("permutation", torch.eye(channels)[order])  # (positions, c, c)
        self.permutation: Tensor
        self.lower = nn.Parameter(torch.zeros(positions, channels, channels))
        self.upper = nn.Parameter(torch.zeros(positions, channels, channels))
        self.log_scale = nn.Parameter(torch.zeros(positions, channels))
        self.fixed: Tensor | None = None  # (dims, dims) once training is over

    def forward(self, data: Tensor, seen: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
        matrix = _block_diagonal(self._matrices()) if self.fixed is None else self.fixed
        return data @ matrix, seen @ self.log_scale.sum(1, keepdim=True)

    def inverse(self, data: Tensor, seen: Tensor, wide: Tensor) -> Tensor:
        """Input from output."""
        return data @ _block_diagonal(torch.linalg.inv(self._matrices()))

    def _matrices(self) -> Tensor:
        """(positions, c, c) for row vectors."""
        eye = torch.eye(self.lower.shape[-1], dtype=self.lower.dtype)
        lower = torch.tril(self.lower, -1) + eye
        upper = torch.triu(self.upper, 1) + torch.diag_embed(torch.exp(self.log_scale))
        return self.permutation @ lower @ upper


class _Coupling(_Layer):
    """Some columns scaled and shifted by what a small network makes of the others."""

    def __init__(self, config: FlowConfig, changed: Tensor) -> None:
        super().__init__()
        dims = len(changed)
        self.affine = config.family != "nice"
        self.register_buffer("changed", changed)
        self.changed: Tensor
        self.network = nn.Sequential(
            nn.Linear(dims + config.positions, config.hidden),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Dropout(config.dropout),
        )
        self.shift = _zeroed(config.hidden, dims)
        self.scale = _zeroed(config.hidden, dims)

    def forward(self, data: Tensor, seen: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._change(data, seen, wide)
        column = _column(data.shape[-1], data.dtype)
        return data * torch.exp(log_scale) + shift, log_scale @ column

    def inverse(self, data: Tensor, seen: Tensor, wide: Tensor) -> Tensor:
        """Input from output."""
        shift, log_scale = self._change(data, seen, wide)
        return (data - shift) * torch.exp(-log_scale)

    def _change(self, data: Tensor, seen: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.network(torch.cat([data * (1 - self.changed), seen], 1))
        which = self.changed * wide
        if not self.affine:
            return self.shift(hidden) * which, torch.zeros_like(data)
        bounded = _LARGEST_LOG_SCALE * torch.tanh(self.scale(hidden) / _LARGEST_LOG_SCALE)
        return self.shift(hidden) * which, bounded * which


def _zeroed(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that says zero at first."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _block_diagonal(blocks: Tensor) -> Tensor:
    """(n c, n c) from blocks (n, c, c)."""
    made: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return made


@cache
def _widening(positions: int, channels: int, dtype: torch.dtype) -> Tensor:
    """(positions, positions * channels) what holds for a position holds for its channels."""
    return torch.kron(torch.eye(positions, dtype=dtype), torch.ones(1, channels, dtype=dtype))


@cache
def _column(dims: int, dtype: torch.dtype) -> Tensor:
    """(dims, 1) sums a row."""
    return torch.ones(dims, 1, dtype=dtype)
