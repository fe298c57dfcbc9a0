"""How large attention's tiles are, so that they fit the card."""

from dataclasses import dataclass

import torch
from torch import Tensor
from triton.compiler.compiler import max_shared_mem

__all__ = ["SHARED_A100", "Tiles", "tiles_for", "tiles_on"]

SHARED_A100 = 163 * 1024  # bytes that one program may have on sm_80


@dataclass(frozen=True, slots=True)
class Tiles:
    """Rows of queries and of keys in a tile, and how a program is run."""

    queries: int
    keys: int
    warps: int
    stages: int


def tiles_for(
    dtype: torch.dtype, head_size: int, *, backward: bool, shared_bytes: int = SHARED_A100
) -> Tiles:
    """Tile sizes whose buffers fit the shared memory. Not tuned: not measured.

    Args:
        dtype: of the operands.
        head_size: D.
        backward: for the backward kernels, which hold more tiles at once.
        shared_bytes: what a program may have; 227 KiB on H100, 163 on A100, 99 on consumer cards.
    """
    small = shared_bytes < SHARED_A100
    if dtype == torch.float32:
        if small and head_size > 64:
            return Tiles(32, 16, 4, 1) if backward else Tiles(32, 16, 4, 2)
        return Tiles(32, 32, 4, 1) if backward else Tiles(64, 32, 4, 2)
    warps = 4 if head_size <= 64 else 8
    if backward:
        return Tiles(64, 32, 4, 2) if small and head_size > 64 else Tiles(64, 64, warps, 2)
    return Tiles(64, 32, 4, 2) if small and head_size > 64 else Tiles(128, 64, warps, 3)


def tiles_on(tensor: Tensor, *, backward: bool) -> Tiles:
    """Tile sizes for operands like ``tensor`` (..., D) on its device."""
    shared = int(max_shared_mem(tensor.device.index)) if tensor.is_cuda else SHARED_A100
    return tiles_for(tensor.dtype, tensor.shape[-1], backward=backward, shared_bytes=shared)
