"""Who looks on while a capture runs: each sees the newest result and never holds it up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

__all__ = ["Shown", "Watcher", "Watchers", "reduced"]

_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Shown:
    """A result as it was sent to its poster, and its reduced pictures."""

    result: Mapping[str, Any]
    previews: Mapping[str, bytes]  # JPEG by camera


class Watcher:
    """One who looks on (state: the newest result that was not looked at yet)."""

    def __init__(self, pictures: bool) -> None:
        self.pictures = pictures
        self._newest: Shown | None = None
        self._came = asyncio.Event()

    def show(self, shown: Shown) -> None:
        """A new result; it takes the place of one that was not looked at."""
        self._newest = shown
        self._came.set()

    async def next(self) -> Shown:
        """The newest result, once there is one that was not looked at."""
        await self._came.wait()
        self._came.clear()
        assert self._newest is not None, "it came with a result"
        return self._newest


class Watchers:
    """All who look on at one capture (state: who they are)."""

    def __init__(self) -> None:
        self._all: list[Watcher] = []

    @property
    def want_pictures(self) -> bool:
        """Whether one of them looks at pictures too."""
        return any(one.pictures for one in self._all)

    @contextmanager
    def watching(self, *, pictures: bool) -> Iterator[Watcher]:
        """One more, as long as the block runs."""
        watcher = Watcher(pictures)
        self._all.append(watcher)
        try:
            yield watcher
        finally:
            self._all.remove(watcher)

    def show(self, result: Mapping[str, Any], previews: Mapping[str, bytes]) -> None:
        """Tells all of them."""
        for one in self._all:
            one.show(Shown(result, previews))


def reduced(jpeg: bytes, width: int) -> bytes:
    """The JPEG, `width` pixels wide at most."""
    image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None or image.shape[1] <= width:
        return jpeg
    size = (width, max(1, round(image.shape[0] * width / image.shape[1])))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
