"""Which motion files and backgrounds no training crowd is rendered from."""

import zlib
from pathlib import Path

__all__ = ["is_kept_apart"]

_ONE_IN = 6


def is_kept_apart(path: Path) -> bool:
    """Whether a file is kept for measuring: about every sixth, by its name alone.

    So it stays the same when files are added, and on every machine.
    """
    return zlib.crc32(path.name.encode()) % _ONE_IN == 0
