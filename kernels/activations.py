"""Activations with the bias before them, and the gated ones, as one pass over memory.

Definitions, x already with its bias: silu x s(x); gelu x P(x) with the normal distribution P,
gelu_tanh its approximation; hard_swish x min(max(x + 3, 0), 6) / 6; relu2 max(x, 0)². The gated
swiglu and geglu split the channels in two, activate the first half (silu, gelu) and multiply it
by the second. On a CPU they are PyTorch's own, which is as fast as memory there.

Hendrycks and Gimpel 2016 (GELU); Howard et al. 2019 (hard-swish); So et al. 2021 (ReLU²);
Shazeer 2020 (SwiGLU, GeGLU).
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .backends import choose
from .errors import BadOperand

__all__ = ["ACTIVATIONS", "GATED", "activate", "gate", "reference"]

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "hard_swish", "relu2")
GATED = {"swiglu": "silu", "geglu": "gelu"}

_OURS = (torch.float16, torch.bfloat16, torch.float32)


def activate(x: Tensor, kind: str, bias: Tensor | None = None, *, backend: str = "auto") -> Tensor:
    """An activation of each number.

    Args:
        x: (..., C)
        kind: one of ``ACTIVATIONS``.
        bias: (C,) added first.
        backend: ``auto``, ``reference``, ``cpu`` or ``triton``.

    Returns:
        (..., C) in the type of ``x``.

    Raises:
        BadOperand: an unknown activation, or a bias of another length or type.
        BackendMissing: a backend that cannot run here.
    """
    if kind not in ACTIVATIONS:
        raise BadOperand(f"no activation {kind!r}; choose one of {', '.join(ACTIVATIONS)}")
    _check_bias(x, bias)
    chosen = choose(backend, x, fits=x.dtype in _OURS)
    if chosen == "triton":
        from .activations_triton import run  # Triton is imported only where it runs

        return run(x, bias, kind, False)
    shifted = x if bias is None else x + bias
    return reference(shifted, kind) if chosen == "reference" else _LIBRARY[kind](shifted)


def gate(x: Tensor, kind: str, bias: Tensor | None = None, *, backend: str = "auto") -> Tensor:
    """The first half of the channels activated, times the second half.

    Args:
        x: (..., 2 C)
        kind: ``swiglu`` or ``geglu``.
        bias: (2 C,) added first.
        backend: ``auto``, ``reference``, ``cpu`` or ``triton``.

    Returns:
        (..., C) in the type of ``x``.

    Raises:
        BadOperand: an unknown gate, an odd number of channels, or a bias that does not fit.
        BackendMissing: a backend that cannot run here.
    """
    if kind not in GATED:
        raise BadOperand(f"no gate {kind!r}; choose one of {', '.join(GATED)}")
    if x.shape[-1] % 2:
        raise BadOperand(f"{x.shape[-1]} channels do not split in two halves; give an even number")
    _check_bias(x, bias)
    chosen = choose(backend, x, fits=x.dtype in _OURS)
    if chosen == "triton":
        from .activations_triton import run  # Triton is imported only where it runs

        return run(x, bias, GATED[kind], True)
    first, second = (x if bias is None else x + bias).chunk(2, dim=-1)
    inner = GATED[kind]
    return (reference(first, inner) if chosen == "reference" else _LIBRARY[inner](first)) * second


def reference(x: Tensor, kind: str) -> Tensor:
    """The definition of each of ``ACTIVATIONS``."""
    if kind == "silu":
        return x / (1 + torch.exp(-x))
    if kind == "gelu":
        return x * (1 + torch.erf(x / math.sqrt(2))) / 2
    if kind == "gelu_tanh":
        return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    if kind == "hard_swish":
        # Written so that the slope at the corners is that outside them, as PyTorch has it.
        inner = (x > -3) & (x < 3)
        return torch.where(inner, x * (x + 3) / 6, torch.where(x <= -3, torch.zeros_like(x), x))
    return x.clamp(min=0) ** 2


_LIBRARY: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hard_swish": F.hardswish,
    "relu2": lambda x: F.relu(x).square(),
}


def _check_bias(x: Tensor, bias: Tensor | None) -> None:
    if bias is not None and (bias.shape != x.shape[-1:] or bias.dtype != x.dtype):
        raise BadOperand(
            f"bias is {bias.dtype} {tuple(bias.shape)}, x {x.dtype} {tuple(x.shape)}; give one "
            "number of the same type for each channel"
        )
