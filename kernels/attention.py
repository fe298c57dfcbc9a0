"""Attention over dense batches: softmax(scale q kᵀ + bias) v without the N×N scores.

Definition, shared by every backend: with ``causal`` the last query sees every key and each
query before it one key fewer (query i sees key j where j - i <= Nk - Nq). A query that sees
nothing, because all its biases are -inf or no key is left, gives zeros. NaN in a query or a
bias, and +inf in a bias, make that query's row NaN. A masked key counts for nothing only if
its value is finite, since 0 x NaN is NaN.

Dao et al., FlashAttention (2022), algorithm 1; Dao, FlashAttention-2 (2023), algorithm 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .backends import choose
from .errors import BadOperand

__all__ = ["attention", "reference"]

# Causal queries are cut into pieces of this many rows where lengths differ, so that the mask
# of a piece, not of everything, is what lies in memory.
CAUSAL_ROWS = 256


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    bias: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Each query's mean of the values, weighted by how well its key matches.

    Args:
        q: (B, H, Nq, D) any strides; float16, bfloat16 or float32 (float64 without Triton).
        k: (B, H, Nk, D)
        v: (B, H, Nk, D)
        causal: the last query sees every key, each one before it one fewer.
        scale: multiplies the scores; 1/sqrt(D) if not given.
        bias: added to the scores, broadcastable to (B, H, Nq, Nk); -inf hides a key.
        backend: ``auto``, ``reference``, ``cpu`` or ``triton``.

    Returns:
        (B, H, Nq, D) in the type of ``q``.

    Raises:
        BadOperand: shapes or types that do not belong together.
        BackendMissing: a backend that cannot run here.
    """
    _check(q, k, v, bias)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    chosen = choose(backend, q, fits=fits_triton(q))
    if chosen == "reference":
        return reference(q, k, v, causal=causal, scale=scale, bias=bias)
    if chosen == "triton":
        _check_triton(q)
        from .attention_launch import attend  # Triton is imported only where it runs

        rows, cols = q.shape[2], k.shape[2]
        return attend(q, k, v, bias=bias, max_q=rows, max_k=cols, causal=causal, scale=scale)
    return _library(q, k, v, causal, scale, bias)


def reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = False,
    scale: float,
    bias: Tensor | None = None,
) -> Tensor:
    """The definition, with all scores in memory. Arguments as :func:`attention`'s."""
    scores = (q @ k.transpose(-1, -2)) * scale  # (B, H, Nq, Nk)
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = scores.masked_fill(~visible(q.shape[-2], k.shape[-2], q.device), -torch.inf)
    # softmax of nothing is 0/0; such rows are zero, and so is their gradient.
    blind = (scores == -torch.inf).all(-1, keepdim=True)
    weights = scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
    return weights.to(v.dtype) @ v


def visible(queries: int, keys: int, device: torch.device) -> Tensor:
    """(queries, keys) bool: what each query may look at under ``causal``."""
    seen = torch.ones(queries, keys, dtype=torch.bool, device=device)
    return seen.tril(keys - queries)


def fits_triton(q: Tensor) -> bool:
    """Whether our device code covers the type and the head size."""
    return q.dtype in (torch.float16, torch.bfloat16, torch.float32) and 1 <= q.shape[-1] <= 128


def _check_triton(q: Tensor) -> None:
    if not fits_triton(q):
        raise BadOperand(
            f"device code takes float16, bfloat16 or float32 and heads of 1 to 128, got {q.dtype} "
            f"and {q.shape[-1]}; cast, or use 'auto'"
        )


def _library(
    q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float, bias: Tensor | None
) -> Tensor:
    """PyTorch's fused attention, which tiles on a CPU as well (9.7 against 21.7 ms at 1024)."""
    bias = None if bias is None else bias.to(q.dtype)
    if not causal:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
    queries, keys = q.shape[-2], k.shape[-2]
    if bias is None and queries == keys:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    # PyTorch's own causal mask starts from the first query, ours ends at the last. Pieces are
    # made again in the backward pass: their masks, kept for it, would be a mask of everything.
    pieces = []
    for start in range(0, max(queries, 1), CAUSAL_ROWS):
        stop = min(start + CAUSAL_ROWS, queries)
        seen = max(keys - queries + stop, 0)
        part = (
            None
            if bias is None
            else _part(bias.reshape(1, -1) if bias.dim() < 2 else bias, start, stop, seen)
        )
        operands = (q[..., start:stop, :], k[..., :seen, :], v[..., :seen, :], part, scale)
        if torch.is_grad_enabled():
            pieces.append(checkpoint(_causal_piece, *operands, use_reentrant=False))
        else:
            pieces.append(_causal_piece(*operands))
    return torch.cat(pieces, dim=-2)


def _part(bias: Tensor, start: int, stop: int, seen: int) -> Tensor:
    """Rows and columns of a bias, of which each may be one for all."""
    rows = bias if bias.shape[-2] == 1 else bias[..., start:stop, :]
    return rows if rows.shape[-1] == 1 else rows[..., :seen]


def _causal_piece(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """Queries of which the last sees all keys given."""
    mask = visible(q.shape[-2], k.shape[-2], q.device)
    if bias is not None:
        mask = bias.masked_fill(~mask, -torch.inf)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def _check(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> None:
    if q.dim() != 4 or k.dim() != 4 or v.dim() != 4:
        raise BadOperand(
            f"attention takes (B, H, N, D), got q of {q.dim()}, k of {k.dim()} and v of "
            f"{v.dim()} axes; use varlen_attention for packed (T, H, D)"
        )
    if q.dtype != k.dtype or q.dtype != v.dtype:
        raise BadOperand(f"q is {q.dtype}, k {k.dtype}, v {v.dtype}; cast them to one type")
    # Sizes are tensors while an export traces, and comparing them would warn.
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # lacks types
        return
    if k.shape != v.shape or q.shape[:2] != k.shape[:2] or q.shape[3] != k.shape[3]:
        raise BadOperand(
            f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)} do not belong together; "
            "batch, heads and head size must agree, and k and v be of one length"
        )
    if bias is not None:
        scores = (*q.shape[:3], k.shape[2])
        tail = scores[4 - bias.dim() :] if bias.dim() <= 4 else ()
        if bias.dim() > 4 or any(b not in (1, s) for b, s in zip(bias.shape, tail, strict=True)):
            raise BadOperand(f"bias {tuple(bias.shape)} does not broadcast to scores {scores}")
