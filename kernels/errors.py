"""What can go wrong in ``kernels``.

    KernelError
    ├── BadOperand            an array or tensor of the wrong shape, type or device
    └── BackendMissing        the backend asked for cannot run here

Every message says what was wrong and what to do.
"""

__all__ = ["BackendMissing", "BadOperand", "KernelError"]


class KernelError(Exception):
    """Something in ``kernels`` that the caller can act on."""


class BadOperand(KernelError, ValueError):
    """An array or tensor of the wrong shape, type or device."""


class BackendMissing(KernelError, RuntimeError):
    """The backend asked for cannot run here."""
