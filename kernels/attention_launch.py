"""Launching attention's device code, and its place in PyTorch: autograd, compile, graphs.

Two operators, ``quadglass::attention`` and ``quadglass::attention_backward``, take dense
(B, H, N, D) tensors, or packed (T, H, D) ones with cumulative offsets. Only sizes that the host
knows decide anything here, so nothing waits for the GPU and a CUDA graph can record it.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
from torch import Tensor

from .attention_gradient_triton import (
    backward_keys_kernel,
    backward_queries_kernel,
    rowsum_kernel,
)
from .attention_tiles import Tiles, tiles_on
from .attention_triton import forward_kernel

__all__ = ["attend"]

NO_BIAS_GRAD, OWN_BIAS_GRAD, SHARED_BIAS_GRAD = 0, 1, 2
# Three passes of the tensor cores give float32 products to float32's accuracy; single TF32
# passes have 10 bits, which is over the tolerance of 1e-3 once errors add up.
FLOAT32_PRECISION = "tf32x3"


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Tensor | None = None,
    cu_q: Tensor | None = None,
    cu_k: Tensor | None = None,
    max_q: int,
    max_k: int,
    causal: bool,
    scale: float,
) -> Tensor:
    """Attention by our device code, with gradients.

    Args:
        q: (B, H, Nq, D), or (Tq, H, D) with ``cu_q``.
        k: (B, H, Nk, D), or (Tk, H, D) with ``cu_k``.
        v: as ``k``.
        bias: broadcastable to (B, H, Nq, Nk); dense only.
        cu_q: (S + 1,) int32 first row of each packed sequence, then the number of rows.
        cu_k: the same for the keys.
        max_q: rows of the longest sequence of queries.
        max_k: the same for the keys.
        causal: see :func:`kernels.attention`.
        scale: multiplies the scores.

    Returns:
        Like ``q``.
    """
    out: Tensor
    out, _lse = _forward(q, k, v, bias, cu_q, cu_k, max_q, max_k, causal, scale)
    return out


@torch.library.custom_op("quadglass::attention", mutates_args=())
def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cu_q: Tensor | None,
    cu_k: Tensor | None,
    max_q: int,
    max_k: int,
    causal: bool,
    scale: float,
) -> tuple[Tensor, Tensor]:
    out, lse = _forward_buffers(q, k, v, bias, cu_q, cu_k, max_q, max_k, causal, scale)
    if cu_q is not None:  # rows that no sequence owns
        out.zero_()
    batch, heads = _batch(q, cu_q), q.shape[1]
    tiles = tiles_on(q, backward=False)
    blocks = triton.cdiv(max_q, tiles.queries)
    if batch * heads * blocks == 0:
        return out, lse
    with _device(q):
        forward_kernel[(batch * heads * blocks,)](
            *(q, k, v, _or(bias, q), out, lse, _or(cu_q, q), _or(cu_k, q)),
            *(*_strides(q), *_strides(k), *_strides(v), *_bias_strides(bias, q, k)),
            *(*_strides(out), *_line_strides(lse)),
            *(heads, max_q, max_k, blocks, scale),
            **_constants(q, tiles, causal=causal, packed=cu_q is not None),
            BIAS=bias is not None,
        )
    return out, lse


@_forward.register_fake
def _forward_buffers(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cu_q: Tensor | None,
    cu_k: Tensor | None,
    max_q: int,
    max_k: int,
    causal: bool,
    scale: float,
) -> tuple[Tensor, Tensor]:
    shape = q.shape[:-1] if cu_q is None else (q.shape[1], q.shape[0])
    return torch.empty_like(q), q.new_empty(shape, dtype=torch.float32)


@torch.library.custom_op("quadglass::attention_backward", mutates_args=())
def _backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    out: Tensor,
    lse: Tensor,
    cu_q: Tensor | None,
    cu_k: Tensor | None,
    max_q: int,
    max_k: int,
    causal: bool,
    scale: float,
    bias_grad: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    wants_bias = bias is not None and bias_grad
    dbias = q.new_zeros(
        bias.shape if wants_bias and bias is not None else (0,), dtype=torch.float32
    )
    batch, heads = _batch(q, cu_q), q.shape[1]
    tiles = tiles_on(q, backward=True)
    q_blocks, k_blocks = triton.cdiv(max_q, tiles.queries), triton.cdiv(max_k, tiles.keys)
    idle = batch * heads * q_blocks * k_blocks == 0
    dq, dk, dv = (_gradient(tensor, idle or cu_q is not None) for tensor in (q, k, v))
    if idle:
        return dq, dk, dv, dbias.to(q.dtype if bias is None else bias.dtype)
    sums = torch.empty_like(lse)
    constants = _constants(q, tiles, causal=causal, packed=cu_q is not None)
    offsets = (_or(cu_q, q), _or(cu_k, q))
    operands = (q, k, v, _or(bias, q), grad, lse, sums)
    operand_strides = (
        *(*_strides(q), *_strides(k), *_strides(v), *_bias_strides(bias, q, k)),
        *(*_strides(grad), *_line_strides(lse)),
    )
    shared = bias is not None and bias.numel() < batch * heads * max_q * max_k
    own = SHARED_BIAS_GRAD if shared else OWN_BIAS_GRAD
    with _device(q):
        rowsum_kernel[(batch * heads * q_blocks,)](
            *(out, grad, sums, offsets[0], *_strides(out), *_strides(grad)),
            *(*_line_strides(lse), heads, max_q, q_blocks),
            **{n: constants[n] for n in ("D", "PACKED", "BLOCK_D", "BLOCK_M", "num_warps")},
        )
        backward_keys_kernel[(batch * heads * k_blocks,)](
            *(*operands, dk, dv, *offsets, *operand_strides, *_strides(dk), *_strides(dv)),
            *(heads, max_q, max_k, k_blocks, scale),
            **constants,
            BIAS=bias is not None,
        )
        backward_queries_kernel[(batch * heads * q_blocks,)](
            *(*operands, dq, dbias, *offsets, *operand_strides, *_strides(dq)),
            *_bias_strides(dbias if wants_bias else None, q, k),
            *(heads, max_q, max_k, q_blocks, scale),
            **constants,
            BIAS=bias is not None,
            BIAS_GRAD=own if wants_bias else NO_BIAS_GRAD,
        )
    return dq, dk, dv, dbias.to(q.dtype if bias is None else bias.dtype)


@_backward.register_fake
def _backward_buffers(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    out: Tensor,
    lse: Tensor,
    cu_q: Tensor | None,
    cu_k: Tensor | None,
    max_q: int,
    max_k: int,
    causal: bool,
    scale: float,
    bias_grad: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if bias is not None and bias_grad:
        dbias = bias.new_empty(bias.shape)
    else:
        dbias = q.new_empty((0,), dtype=q.dtype if bias is None else bias.dtype)
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v), dbias


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, bias, cu_q, cu_k, *settings = inputs
    out, lse = output
    ctx.save_for_backward(q, k, v, bias, out, lse, cu_q, cu_k)
    ctx.settings = settings
    ctx.mark_non_differentiable(lse)


def _differentiate(ctx: Any, grad: Tensor, _grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
    q, k, v, bias, out, lse, cu_q, cu_k = ctx.saved_tensors
    bias_grad = ctx.needs_input_grad[3]
    dq, dk, dv, dbias = _backward(
        grad, q, k, v, bias, out, lse, cu_q, cu_k, *ctx.settings, bias_grad
    )
    return dq, dk, dv, dbias if bias_grad else None, *[None] * 6


_forward.register_autograd(_differentiate, setup_context=_save)


def _gradient(tensor: Tensor, cleared: bool) -> Tensor:
    """Room for a gradient, zero where the device code may leave rows unwritten."""
    return torch.zeros_like(tensor) if cleared else torch.empty_like(tensor)


def _constants(q: Tensor, tiles: Tiles, *, causal: bool, packed: bool) -> dict[str, Any]:
    return {
        "D": q.shape[-1],
        "CAUSAL": causal,
        "PACKED": packed,
        "PRECISION": FLOAT32_PRECISION if q.dtype == torch.float32 else "ieee",
        "BLOCK_D": max(16, triton.next_power_of_2(q.shape[-1])),  # 16 is the least of tl.dot
        "BLOCK_M": tiles.queries,
        "BLOCK_N": tiles.keys,
        "num_warps": tiles.warps,
        "num_stages": tiles.stages,
    }


def _batch(q: Tensor, cu_q: Tensor | None) -> int:
    return q.shape[0] if cu_q is None else cu_q.shape[0] - 1


def _strides(tensor: Tensor) -> tuple[int, int, int, int]:
    """Of batch, head, row, dim; packed tensors (T, H, D) have no batch."""
    if tensor.dim() == 3:
        row, head, dim = tensor.stride()
        return 0, head, row, dim
    batch, head, row, dim = tensor.stride()
    return batch, head, row, dim


def _line_strides(line: Tensor) -> tuple[int, int]:
    """Of batch and head of (B, H, N), or of (H, T); rows lie side by side."""
    return (line.stride(0), line.stride(1)) if line.dim() == 3 else (0, line.stride(0))


def _bias_strides(bias: Tensor | None, q: Tensor, k: Tensor) -> tuple[int, int, int, int]:
    if bias is None:
        return 0, 0, 0, 0
    return _strides(bias.expand(*q.shape[:3], k.shape[2]))


def _or(tensor: Tensor | None, other: Tensor) -> Tensor:
    """A pointer must point somewhere, also one that the device code never reads."""
    return other if tensor is None else tensor


def _device(tensor: Tensor) -> AbstractContextManager[Any]:
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
