"""Device code of :mod:`kernels.activations`, forward and backward.

Everything is computed in float32 and rounded once. The gradient of the bias is summed over each
block of rows by the program that has them at hand; adding up the blocks' sums is left to PyTorch,
so the result does not depend on timing. Speed: not measured, no GPU was at hand.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Device code is typed by tl.constexpr and by what the launcher passes; mypy knows neither.

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .errors import BadOperand

__all__ = ["run"]

ROWS_BLOCK, CHANNELS_BLOCK = 32, 64


@triton.jit
def _tanh(x):
    return 2.0 * tl.sigmoid(2.0 * x) - 1.0


@triton.jit
def _value(x, KIND: tl.constexpr):
    if KIND == "silu":
        return x * tl.sigmoid(x)
    elif KIND == "gelu":
        return 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    elif KIND == "gelu_tanh":
        return 0.5 * x * (1.0 + _tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    elif KIND == "hard_swish":
        return x * tl.minimum(tl.maximum(x + 3.0, 0.0), 6.0) * (1.0 / 6.0)
    else:
        positive = tl.where(x < 0.0, 0.0, x)  # tl.maximum would lose a NaN
        return positive * positive


@triton.jit
def _slope(x, KIND: tl.constexpr):
    if KIND == "silu":
        s = tl.sigmoid(x)
        return s * (1.0 + x * (1.0 - s))
    elif KIND == "gelu":
        below = 0.5 * (1.0 + tl.erf(x * 0.7071067811865476))
        return below + x * 0.3989422804014327 * tl.exp(-0.5 * x * x)
    elif KIND == "gelu_tanh":
        t = _tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))
        inner = 0.7978845608028654 * (1.0 + 0.134145 * x * x)
        return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner
    elif KIND == "hard_swish":
        middle = x * (1.0 / 3.0) + 0.5
        return tl.where(x <= -3.0, 0.0, tl.where(x < 3.0, middle, tl.where(x >= 3.0, 1.0, x)))
    else:
        return 2.0 * tl.where(x < 0.0, 0.0, x)


@triton.jit
def _load(x_ptr, bias_ptr, at, cols, mask, channels, BIAS: tl.constexpr):
    """(rows, channels) tile with its bias, in float32."""
    x = tl.load(x_ptr + at, mask=mask, other=0.0).to(tl.float32)
    if BIAS:
        x += tl.load(bias_ptr + cols, mask=cols < channels, other=0.0).to(tl.float32)[None, :]
    return x


@triton.jit
def forward_kernel(
    x_ptr, bias_ptr, out_ptr, stride_x, stride_out, rows, width, blocks,
    KIND: tl.constexpr, GATED: tl.constexpr, BIAS: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """One tile of the result; ``width`` is the result's number of channels."""
    row = (tl.program_id(0) // blocks) * BLOCK_R + tl.arange(0, BLOCK_R)
    col = (tl.program_id(0) % blocks) * BLOCK_C + tl.arange(0, BLOCK_C)
    mask = (row[:, None] < rows) & (col[None, :] < width)
    at = row.to(tl.int64)[:, None] * stride_x + col[None, :]
    out = _value(_load(x_ptr, bias_ptr, at, col, mask, width, BIAS), KIND)
    if GATED:
        out *= _load(x_ptr, bias_ptr, at + width, col + width, mask, 2 * width, BIAS)
    at = row.to(tl.int64)[:, None] * stride_out + col[None, :]
    tl.store(out_ptr + at, out.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def backward_kernel(
    grad_ptr, x_ptr, bias_ptr, dx_ptr, partial_ptr, stride_grad, stride_x, stride_dx,
    rows, width, blocks,
    KIND: tl.constexpr, GATED: tl.constexpr, BIAS: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """One tile of the gradient, and its sums over rows for the bias."""
    block = tl.program_id(0) // blocks
    row = block * BLOCK_R + tl.arange(0, BLOCK_R)
    col = (tl.program_id(0) % blocks) * BLOCK_C + tl.arange(0, BLOCK_C)
    mask = (row[:, None] < rows) & (col[None, :] < width)
    here = row.to(tl.int64)[:, None]
    grad = tl.load(grad_ptr + here * stride_grad + col[None, :], mask=mask, other=0.0)
    grad = grad.to(tl.float32)
    at = here * stride_x + col[None, :]
    x = _load(x_ptr, bias_ptr, at, col, mask, width, BIAS)
    dx = grad * _slope(x, KIND)
    kind = dx_ptr.dtype.element_ty
    to = here * stride_dx + col[None, :]
    if GATED:
        other = _load(x_ptr, bias_ptr, at + width, col + width, mask, 2 * width, BIAS)
        dother = grad * _value(x, KIND)
        dx *= other
        tl.store(dx_ptr + to + width, dother.to(kind), mask=mask)
        if BIAS:
            sums = tl.sum(tl.where(mask, dother, 0.0), 0)
            tl.store(partial_ptr + block * 2 * width + width + col, sums, mask=col < width)
    tl.store(dx_ptr + to, dx.to(kind), mask=mask)
    if BIAS:
        sums = tl.sum(tl.where(mask, dx, 0.0), 0)
        channels = 2 * width if GATED else width
        tl.store(partial_ptr + block * channels + col, sums, mask=col < width)


def run(x: Tensor, bias: Tensor | None, kind: str, gated: bool) -> Tensor:
    """An activation by our device code, with gradients; arguments as of ``kernels.activations``."""
    if x.dtype not in (torch.float16, torch.bfloat16, torch.float32):
        raise BadOperand(f"device code takes float16, bfloat16 or float32, got {x.dtype}")
    flat = x.reshape(-1, x.shape[-1])
    flat = flat if flat.stride(-1) == 1 else flat.contiguous()
    out: Tensor = _forward(flat, bias, kind, gated)
    shaped: Tensor = out.view(*x.shape[:-1], out.shape[-1])
    return shaped


@torch.library.custom_op("quadglass::activate", mutates_args=())
def _forward(x: Tensor, bias: Tensor | None, kind: str, gated: bool) -> Tensor:
    out: Tensor = _forward_buffer(x, bias, kind, gated)
    rows, width = out.shape
    blocks = triton.cdiv(width, CHANNELS_BLOCK)
    programs = triton.cdiv(rows, ROWS_BLOCK) * blocks
    if programs:
        with _device(x):
            forward_kernel[(programs,)](
                *(x, x if bias is None else bias.contiguous(), out, x.stride(0), out.stride(0)),
                *(rows, width, blocks),
                **_constants(bias, kind, gated),
            )
    return out


@_forward.register_fake
def _forward_buffer(x: Tensor, bias: Tensor | None, kind: str, gated: bool) -> Tensor:
    out: Tensor = x.new_empty((x.shape[0], x.shape[1] // 2 if gated else x.shape[1]))
    return out


@torch.library.custom_op("quadglass::activate_backward", mutates_args=())
def _backward(
    grad: Tensor, x: Tensor, bias: Tensor | None, kind: str, gated: bool
) -> tuple[Tensor, Tensor]:
    grad = grad if grad.stride(-1) == 1 else grad.contiguous()
    dx = x.new_empty(x.shape)
    rows, width = grad.shape
    blocks, row_blocks = triton.cdiv(width, CHANNELS_BLOCK), triton.cdiv(rows, ROWS_BLOCK)
    channels = 0 if bias is None else x.shape[1]
    partial = x.new_zeros((row_blocks, channels), dtype=torch.float32)
    if row_blocks * blocks:
        with _device(x):
            backward_kernel[(row_blocks * blocks,)](
                *(grad, x, x if bias is None else bias.contiguous(), dx, partial),
                *(grad.stride(0), x.stride(0), dx.stride(0), rows, width, blocks),
                **_constants(bias, kind, gated),
            )
    return dx, partial.sum(0).to(x.dtype)


@_backward.register_fake
def _backward_buffers(
    grad: Tensor, x: Tensor, bias: Tensor | None, kind: str, gated: bool
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty((0 if bias is None else x.shape[1],))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, bias, ctx.kind, ctx.gated = inputs
    ctx.save_for_backward(x, bias)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, bias = ctx.saved_tensors
    dx, dbias = _backward(grad, x, bias, ctx.kind, ctx.gated)
    return dx, None if bias is None else dbias, None, None


_forward.register_autograd(_differentiate, setup_context=_save)


def _constants(bias: Tensor | None, kind: str, gated: bool) -> dict[str, Any]:
    return {
        "KIND": kind,
        "GATED": gated,
        "BIAS": bias is not None,
        "BLOCK_R": ROWS_BLOCK,
        "BLOCK_C": CHANNELS_BLOCK,
    }


def _device(tensor: Tensor) -> AbstractContextManager[Any]:
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
