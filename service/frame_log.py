"""Lines that are appended and never changed, in files of so many lines each.

    DIRECTORY/00000000.jsonl, 00000512.jsonl, …     named after the place of their first line

Only the last file is written to, and a line counts once it is on the disk whole: a crash leaves at
most a part of one, which the next append overwrites. However long a log gets, opening it reads one
file, and so does reading a page of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from .files import sync_directory

__all__ = ["LINES", "FrameLog"]

LINES = 512  # seventeen seconds at 30 Hz, some ten megabytes


class FrameLog:
    """A directory of lines (state: how many, and where those of the last file begin)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._first = 0  # place of the last file's first line
        self._starts: list[int] = []  # byte offsets of its whole lines
        self._end = 0
        self.refresh()

    def __len__(self) -> int:
        return self._first + len(self._starts)

    def refresh(self) -> None:
        """Looks again at what is on the disk."""
        self._first, self._starts, self._end = 0, [], 0
        paths = sorted(self._directory.glob("*.jsonl"))
        if not paths:
            return
        self._first = int(paths[-1].stem)
        with paths[-1].open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break  # a crash cut it off
                self._starts.append(self._end)
                self._end += len(line)

    def append(self, line: bytes) -> None:
        """Writes a line through to the disk; it holds no line break."""
        assert b"\n" not in line, "a line is one line"
        if len(self._starts) >= LINES:
            self._first, self._starts, self._end = len(self), [], 0
        path = self._path(self._first)
        new = not path.exists()
        if new:
            self._directory.mkdir(exist_ok=True)
        data = line + b"\n"
        with path.open("wb" if new else "r+b", buffering=0) as file:
            file.truncate(self._end)  # a line that a crash cut off
            file.seek(self._end)
            try:
                file.write(data)
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(self._end)
                raise
        if new:
            sync_directory(self._directory)
        self._starts.append(self._end)
        self._end += len(data)

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Lines in order, from the `start`-th up to before the `stop`-th."""
        stop = len(self) if stop is None else min(stop, len(self))
        while start < stop:
            first = start // LINES * LINES
            until = min(stop, first + LINES)
            with self._path(first).open("rb") as file:
                skipped = start - first
                if first == self._first:
                    file.seek(self._starts[skipped])
                    skipped = 0
                else:
                    for _ in islice(file, skipped):
                        pass
                for _ in range(start, until):
                    yield file.readline()
            start = until

    def _path(self, first: int) -> Path:
        return self._directory / f"{first:08d}.jsonl"
