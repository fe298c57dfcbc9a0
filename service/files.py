"""Writing so that a crash leaves the old file or the new one, never half of either."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

__all__ = ["read_json", "sweep_parts", "sync_directory", "write_atomic", "write_json"]

_PART = ".part"  # ends the name of a file that is being written


def write_atomic(path: Path, data: bytes, *, private: bool = False) -> None:
    """Puts the bytes at the path: a temporary file beside it, flushed to disk, then renamed.

    Args:
        path: where.
        data: what.
        private: for nobody but the owner to read.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PART}")
    try:
        with part.open("wb") as file:
            if private:
                part.chmod(0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Puts a value at the path as JSON, atomically."""
    text = json.dumps(value, indent=1, allow_nan=False)
    write_atomic(path, text.encode())


def read_json(path: Path) -> Any:
    """The value that a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def sync_directory(path: Path) -> None:
    """Flushes a directory's entries, so that a rename survives a power cut too."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_parts(root: Path) -> None:
    """Removes what a crash left half written."""
    for part in root.rglob(f".*{_PART}"):
        part.unlink(missing_ok=True)
