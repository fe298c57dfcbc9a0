"""Whether numba is there to compile the geometry's hot loops.

`kernels/compiled.py` does the same for the network's; neither folder imports the other.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["compiled", "jit"]

logger = logging.getLogger(__name__)


@functools.cache
def compiled() -> bool:
    """True if numba is installed and ``KERNELS_NUMBA``, the one switch for all, is not ``0``.

    Without it the plain numpy definitions run: the same results in two to three times the time.
    """
    wanted = os.environ.get("KERNELS_NUMBA", "1") != "0"
    return wanted and importlib.util.find_spec("numba") is not None


def jit(function: Callable[..., Any]) -> Any:
    """``function`` compiled on its first call, and kept on disk for the next start."""
    import numba  # type: ignore[import-not-found, import-untyped, unused-ignore]

    # error_model: dividing by zero gives inf or NaN as in numpy, and no check in the loop.
    try:
        made = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError as error:
        # Neither the package's folder nor the user's cache folder can be written.
        logger.warning("compiling %s anew at each start: %s", function.__qualname__, error)
        return numba.njit(error_model="numpy")(function)
    if made is not function:  # it is with NUMBA_DISABLE_JIT
        _bring_along(Path(inspect.getfile(function)), Path(str(made.stats.cache_path)))
    return made


@functools.cache
def _bring_along(source: Path, kept: Path) -> None:
    """Put what was compiled beside read-only source into the folder where numba looks for it."""
    for made in (source.parent / "__pycache__").glob(f"{source.stem}.*.nb[ic]"):
        copy = kept / made.name
        if copy.exists() and copy.stat().st_mtime >= made.stat().st_mtime:
            continue  # the same, which includes numba's own folder, or compiled here since
        # Several workers start at once, so a file appears whole or not at all.
        half = copy.with_name(f"{copy.name}.{os.getpid()}")
        try:
            shutil.copy2(made, half)
            half.replace(copy)
        except OSError as error:
            logger.warning("compiled code stays behind, %s is not written: %s", copy, error)
            return
