"""Reduced pictures of a take, for looking at: bounded, the older ones go first.

pictures/SEQUENCE.CAMERA.jpg
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path

from .names import checked_name

__all__ = ["Previews"]


class Previews:
    """A directory of pictures (state: how many bytes each frame set has there)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: deque[tuple[int, int]] | None = None  # sequence, bytes; oldest first
        self._cameras: set[str] = set()
        self._total = 0

    def keep(
        self, sequence: int, pictures: Mapping[str, bytes], *, only_last: bool, limit_bytes: int
    ) -> None:
        """Keeps those of one frame set; older ones go once they are over the limit."""
        if not pictures:
            return
        self._directory.mkdir(exist_ok=True)
        kept = self._known()
        for camera, data in pictures.items():
            self.path(sequence, camera).write_bytes(data)  # may be lost in a crash: no flush
        self._cameras.update(pictures)
        size = sum(map(len, pictures.values()))
        kept.append((sequence, size))
        self._total += size
        while len(kept) > 1 and (only_last or self._total > limit_bytes):
            oldest, size = kept.popleft()
            self._total -= size
            for camera in self._cameras:
                self.path(oldest, camera).unlink(missing_ok=True)

    def path(self, sequence: int, camera: str) -> Path:
        """Where the picture of one camera is, if it was kept."""
        return self._directory / f"{sequence:08d}.{checked_name('camera', camera)}.jpg"

    def _known(self) -> deque[tuple[int, int]]:
        """What is there, read from the disk at first use."""
        if self._kept is None:
            sizes: dict[int, int] = {}
            for path in sorted(self._directory.glob("*.jpg")):
                sequence, _, camera = path.stem.partition(".")
                sizes[int(sequence)] = sizes.get(int(sequence), 0) + path.stat().st_size
                self._cameras.add(camera)
            self._kept = deque(sizes.items())
            self._total = sum(sizes.values())
        return self._kept
