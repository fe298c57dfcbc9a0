"""Whether numba is there to compile the hot loops that no library has."""

import functools
import importlib.util
import logging
import os
from collections.abc import Callable
from typing import Any

__all__ = ["compiled", "jit"]

logger = logging.getLogger(__name__)


@functools.cache
def compiled() -> bool:
    """True if numba is installed and ``KERNELS_NUMBA`` is not ``0``.

    Without it the plain numpy definitions run, which give the same and take about ten times as
    long.
    """
    return (
        os.environ.get("KERNELS_NUMBA", "1") != "0"
        and importlib.util.find_spec("numba") is not None
    )


def jit(function: Callable[..., Any]) -> Any:
    """``function`` compiled on its first call, and kept on disk for the next start."""
    import numba  # type: ignore[import-not-found, import-untyped, unused-ignore]

    # error_model: dividing by zero gives inf or NaN as in numpy, and no check in the loop.
    try:
        return numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError as error:
        # Neither the package's folder nor the user's cache folder can be written.
        logger.warning("compiling %s anew at each start: %s", function.__qualname__, error)
        return numba.njit(error_model="numpy")(function)
