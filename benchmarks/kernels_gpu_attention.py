"""Attention on a GPU: ours beside every backend of PyTorch's, dense and in ragged packs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from kernels import attention, varlen_attention
from kernels.packing import spans

from .kernels_gpu_timing import Figure, timed

__all__ = ["LONGEST", "SEQUENCES", "SHAPES", "dense", "ragged"]

SHAPES = [  # batch, heads, length, head size
    (4, 8, 256, 64),
    (4, 8, 1024, 64),
    (4, 16, 1024, 128),
    (4, 16, 4096, 64),
    (4, 16, 4096, 128),
    (4, 16, 8192, 128),
]
SEQUENCES, LONGEST = 32, 2048  # of a ragged pack
PADDING = (0.1, 0.3, 0.5, 0.7, 0.9)
SDPA = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


def peers(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> dict[str, Callable[[], Tensor]]:
    """Every way to attend, ours first."""

    def by_sdpa(choice: SDPBackend) -> Tensor:
        with sdpa_kernel(choice):
            return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    ways: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: attention(q, k, v, causal=causal, backend="triton")
    }
    for name, choice in SDPA.items():
        ways[f"sdpa {name}"] = lambda choice=choice: by_sdpa(choice)  # type: ignore[misc]
    if q.is_cuda:
        ways["flex"] = flexible(q, k, v, causal)
    ways["unfused"] = lambda: attention(q, k, v, causal=causal, backend="reference")
    return ways


def flexible(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Callable[[], Tensor]:
    """FlexAttention, compiled."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    mask = None
    if causal:
        rows, cols = q.shape[2], k.shape[2]
        mask = create_block_mask(
            lambda _b, _h, i, j: i >= j, None, None, rows, cols, device=q.device
        )
    compiled = torch.compile(flex_attention)
    return lambda: compiled(q, k, v, block_mask=mask)


def dense(
    device: str, shapes: list[tuple[int, int, int, int]], dtype: torch.dtype, repeat: int
) -> Iterator[Figure]:
    """Attention over dense batches, forward, and forward with backward."""
    for batch, heads, length, size in shapes:
        for causal in (False, True):
            case = f"{batch} x {heads} x {length} x {size}{' causal' if causal else ''}"
            q, k, v = (
                torch.randn(batch, heads, length, size, device=device, dtype=dtype)
                .detach()
                .requires_grad_()
                for _ in range(3)
            )
            # Two products forward, five more backward; half of everything if causal.
            flops = 4 * batch * heads * length**2 * size / (2 if causal else 1)
            moved = 4 * q.numel() * q.element_size()
            for who, way in peers(q, k, v, causal).items():
                if who in ("unfused", "sdpa math") and batch * heads * length**2 > 2**31:
                    yield Figure("forward", case, who, None, note="its scores do not fit")
                    continue

                def forward(way: Callable[[], Tensor] = way) -> object:
                    with torch.no_grad():
                        return way()

                operands = (q, k, v)

                def both(
                    way: Callable[[], Tensor] = way, of: tuple[Tensor, ...] = operands
                ) -> object:
                    out = way()
                    return torch.autograd.grad(out, of, out)

                about = {"device": device, "repeat": repeat}
                yield timed("forward", case, who, forward, flops=flops, moved=moved, **about)
                yield timed("with backward", case, who, both, flops=3.5 * flops, **about)


def ragged(
    device: str, count: int, longest: int, dtype: torch.dtype, repeat: int, heads: int = 16
) -> Iterator[Figure]:
    """Packs whose padded form would be 10 to 90 % padding, heads of 64."""
    for share in PADDING:
        # Evenly spread about the mean that leaves this share empty; one of the full length.
        mean = max(1 - share, 1 / longest) * longest
        low = max(2 * mean - longest, 1.0)
        high = min(2 * mean - low, longest)
        lengths = [round(low + (high - low) * i / (count - 1)) for i in range(count - 1)]
        lengths.append(longest)
        cu = torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32)
        shape = (sum(lengths), heads, 64)
        q, k, v = (torch.randn(shape, device=device, dtype=dtype) for _ in range(3))
        at, real = spans(cu, longest)
        flops = 4 * heads * 64 * sum(n * n for n in lengths)
        empty = 1 - sum(lengths) / (count * longest)
        case = f"{count} x up to {longest}, {100 * empty:.0f} % padding"

        def padded(q=q, k=k, v=v, at=at, real=real) -> object:  # type: ignore[no-untyped-def]
            wide = [x[at].transpose(1, 2) for x in (q, k, v)]
            mask = real[:, None, None]
            return functional.scaled_dot_product_attention(*wide, attn_mask=mask)

        def packed(q=q, k=k, v=v, cu=cu) -> object:  # type: ignore[no-untyped-def]
            from torch.nn.attention.varlen import varlen_attn

            return varlen_attn(q, k, v, cu, cu, longest, longest)

        def ours(q=q, k=k, v=v, cu=cu) -> object:  # type: ignore[no-untyped-def]
            return varlen_attention(q, k, v, cu, cu, longest, longest, backend="triton")

        for who, way in (("ours", ours), ("padded sdpa", padded), ("torch varlen", packed)):
            with torch.no_grad():
                yield timed("packed", case, who, way, flops=flops, device=device, repeat=repeat)
