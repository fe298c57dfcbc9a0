"""Fused operations of the hot path, each one file beside its plain reference.

``attention`` and ``varlen_attention`` are loaded when first asked for, so that importing this
package, or what serving on a CPU needs of it, imports neither PyTorch nor Triton.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from .backends import backend

if TYPE_CHECKING:
    from .attention import attention
    from .varlen import varlen_attention

__all__ = ["attention", "backend", "varlen_attention"]

# Public function -> the file it lives in.
_LAZY = {"attention": "attention", "varlen_attention": "varlen"}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)


class _Package(ModuleType):
    """Keeps ``kernels.attention`` the function.

    Python binds a submodule to its package under the file's name as soon as anybody imports
    it, which would put the file ``attention.py`` in the place of the function it holds.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in _LAZY and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
