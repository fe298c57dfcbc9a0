"""Which implementation runs an operation, and why."""

import functools
import importlib.util
import os
from typing import TYPE_CHECKING

from .errors import BackendMissing

if TYPE_CHECKING:
    import torch

__all__ = ["BACKENDS", "backend", "choose"]

# "reference" is the definition in plain PyTorch, "cpu" the best path without Triton (a
# library's, or our own where none has the operation), "triton" our device code.
BACKENDS = ("auto", "reference", "cpu", "triton")


@functools.cache
def backend() -> str:
    """What ``backend="auto"`` means on this machine: ``"triton"`` or ``"cpu"``.

    Tensors that lie on the CPU of a machine with a GPU still take the CPU path.
    """
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("triton") is None:
        return "cpu"
    import torch  # PyTorch is looked at only where it is installed, and not at import

    return "triton" if torch.cuda.is_available() else "cpu"


def interpreting() -> bool:
    """Whether Triton runs its device code in Python on the CPU, which only tests want."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def choose(asked: str, tensor: "torch.Tensor", *, fits: bool = True) -> str:
    """The backend that runs an operation on ``tensor``.

    Args:
        asked: one of ``BACKENDS``.
        tensor: any operand; its device decides what ``auto`` means.
        fits: whether our device code covers the operands' shapes and types.

    Returns:
        ``"reference"``, ``"cpu"`` or ``"triton"``.

    Raises:
        BackendMissing: unknown name, or Triton asked for where it cannot run.
    """
    if asked not in BACKENDS:
        raise BackendMissing(f"no backend {asked!r}; choose one of {', '.join(BACKENDS)}")
    if asked == "auto":
        return "triton" if tensor.is_cuda and fits and backend() == "triton" else "cpu"
    if asked == "triton":
        if importlib.util.find_spec("triton") is None:
            raise BackendMissing("triton is not installed; install the extra 'gpu' or use 'auto'")
        if not tensor.is_cuda and not interpreting():
            raise BackendMissing(
                f"triton needs CUDA tensors, got one on {tensor.device}; move it to the GPU, use "
                "'auto', or set TRITON_INTERPRET=1 before the start to test without a GPU"
            )
    return asked
