"""Answers on the disk by key, so that a restart forgets none; the oldest go by age and number.

DIRECTORY/HASH.json     hash of the key; written whole or not at all
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .config import StoreSettings
from .files import read_json, write_json

__all__ = ["Answers"]

_SWEEP_EVERY = 500  # answers written


class Answers:
    """A directory of answers (state: the files, and how many were written since the last sweep)."""

    def __init__(self, directory: Path, settings: StoreSettings) -> None:
        self._directory = directory
        self._settings = settings
        self._written = 0
        directory.mkdir(parents=True, exist_ok=True)
        self.sweep()

    def get(self, key: str) -> dict[str, Any] | None:
        """What was kept under the key, None if nothing was or it is too old."""
        path = self._path(key)
        try:
            if path.stat().st_mtime < time.time() - self._settings.answers_s:
                return None
            found: dict[str, Any] = read_json(path)
            return found
        except FileNotFoundError:
            return None

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Keeps a value under a key, in the place of what was there."""
        write_json(self._path(key), value)
        self._written += 1
        if self._written % _SWEEP_EVERY == 0:
            self.sweep()

    def forget(self, key: str) -> None:
        """Keeps nothing under the key any more."""
        self._path(key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Removes what is too old, and the oldest of too many."""
        found = []
        for path in self._directory.glob("*.json"):
            try:
                found.append((path.stat().st_mtime, path))
            except FileNotFoundError:  # another process sweeps too
                continue
        found.sort()
        oldest = time.time() - self._settings.answers_s
        surplus = len(found) - self._settings.answers
        for place, (at, path) in enumerate(found):
            if place < surplus or at < oldest:
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
