"""The completer as a network (training and export only): a velocity field from guess to pose.

Rectified flow (Liu et al., Flow Straight and Fast, 2022): pairs of a draw from the source and a
truth are joined by straight lines, and the network learns the mean velocity at each place and time.
The source is the conditional Gaussian of the window, so at the outset, with a network that says
nothing, what comes out is that Gaussian; the network learns what it gets wrong.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["CompleterConfig", "VelocityField", "own_drift"]

_DIMS, _JOINTS = 51, 17
_FREQUENCIES = 4
_LEAST_M = 0.003  # added to standard deviations, which are zero for what is seen


@dataclass(frozen=True, slots=True)
class CompleterConfig:
    """The shape of the network."""

    frames: int = 9  # of a window
    hidden: int = 176
    blocks: int = 3
    dropout: float = 0.1


def own_drift(time: Tensor) -> Tensor:
    """What a Gaussian's own velocity is per distance from its mean, going to itself in unit time.

    Of x_t = (1 - t) a + t b with a and b drawn alike: E[b - a | x_t] = (2t - 1) / (t^2 + (1 - t)^2)
    times x_t. The flow along it takes every draw back to where it began.
    """
    return (2 * time - 1) / (time * time + (1 - time) * (1 - time))


class VelocityField(nn.Module):
    """Velocity of all joints at a place and time; that of seen joints means nothing."""

    def __init__(self, config: CompleterConfig) -> None:
        super().__init__()
        self.config = config
        inputs = (config.frames + 6) * _DIMS + 3 * _JOINTS + 2 * _FREQUENCIES + 1
        self.entry = nn.Linear(inputs, config.hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(config.hidden),
                nn.Linear(config.hidden, config.hidden),
                nn.SiLU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.hidden, config.hidden),
            )
            for _ in range(config.blocks)
        )
        self.exit = nn.Linear(config.hidden, _DIMS)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def forward(
        self,
        state: Tensor,
        seen: Tensor,
        filled: Tensor,
        spread: Tensor,
        places: Tensor,
        drifts: Tensor,
        nearness: Tensor,
        time: Tensor,
    ) -> Tensor:
        """Velocity (B, 51) in metres of the frame per unit of time.

        Args:
            state: (B, 51) where the joints are at that time.
            seen: (B, 17) ones and zeros.
            filled: (B, frames * 51) the window, unseen joints at the Gaussian's means.
            spread: (B, 51) the Gaussian's standard deviations in the middle frame.
            places: (B, 102) of `Surroundings`, flattened, as are the next two.
            drifts: (B, 102)
            nearness: (B, 34)
            time: (B, 1) from 0 to 1.
        """
        waves = [2**k * math.pi * time for k in range(_FREQUENCIES)]
        mean = filled @ _middle(self.config.frames)
        off = (state - mean) / (spread + _LEAST_M)
        sight = nearness @ _thrice() > 0  # (B, 102)
        apart = (places - torch.cat([mean, mean], 1)) * sight / (spread.repeat(1, 2) + _LEAST_M)
        told = [off, 3 * filled, 5 * spread, apart.clamp(-8, 8), 30 * drifts, nearness, seen, time]
        told += [torch.sin(wave) for wave in waves] + [torch.cos(wave) for wave in waves]
        hidden = self.entry(torch.cat(told, 1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        learnt: Tensor = (spread + _LEAST_M) * self.exit(hidden)
        return own_drift(time) * (state - mean) + learnt


@cache
def _middle(frames: int) -> Tensor:
    """(frames * 51, 51) picks the middle frame of a window."""
    return torch.kron(torch.eye(frames)[:, frames // 2 : frames // 2 + 1], torch.eye(_DIMS))


@cache
def _thrice() -> Tensor:
    """(34, 102) what holds for a joint holds for its coordinates."""
    return torch.kron(torch.eye(2 * _JOINTS), torch.ones(1, 3))
