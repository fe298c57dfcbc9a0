"""A thread for each source: reads, cuts, encodes, lays down; a live one that breaks comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.layout import Layout

from .source import Shot, Source, SourceLost, shots
from .tray import Ready, Tray

__all__ = ["ReadSettings", "Reader"]

_FIRST_PAUSE_S = 0.5
_MOST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """How pictures are made ready."""

    quality: int = 85  # of JPEGs that are made here
    width: int | None = None  # reduced to this, aspect kept
    paced: bool = True  # files at their own rate; False as fast as they are taken
    start_ns: int = 0  # Unix time of the beginning of all files
    begin_s: float = 0.0  # `time.monotonic()` of it


class Reader(threading.Thread):
    """Reads one source until it ends or is stopped (state: whether to stop, and why it ended)."""

    def __init__(
        self,
        name: str,
        source: Source,
        cameras: tuple[str, ...],
        layout: Layout | None,
        settings: ReadSettings,
        tray: Tray,
        tell: Callable[[str], None],
    ) -> None:
        super().__init__(name=f"read {source.address}", daemon=True)
        self._place = name  # on the tray
        self._source = source
        self._cameras = cameras  # one, or as many as the layout has parts
        self._layout = layout
        self._settings = settings
        self._tray = tray
        self._tell = tell
        self._ending = threading.Event()
        self.error: Exception | None = None

    def stop(self) -> None:
        """Ends after the picture at hand."""
        self._ending.set()

    def run(self) -> None:
        """Reads."""
        pause_s = _FIRST_PAUSE_S
        try:
            while not self._ending.is_set():
                try:
                    for shot in shots(self._source, as_jpeg=self._as_it_is):
                        if self._ending.is_set():
                            return
                        self._lay_down(shot)
                        pause_s = _FIRST_PAUSE_S
                    if not self._source.live:
                        return
                    self._tell(f"{self._source.address} ended; trying again")
                except SourceLost as error:
                    if not self._source.live:
                        raise
                    self._tell(f"{error}; trying again in {pause_s:g} s")
                self._ending.wait(pause_s)
                pause_s = min(2 * pause_s, _MOST_PAUSE_S)
        except Exception as error:  # told by the sender, which waits for us
            self.error = error
        finally:
            self._tray.reader_ended(self._place)

    @property
    def _as_it_is(self) -> bool:
        return self._layout is None and self._settings.width is None

    def _lay_down(self, shot: Shot) -> None:
        timestamp_ns = shot.timestamp_ns
        if not self._source.live:
            if self._settings.paced:
                due_s = self._settings.begin_s + shot.timestamp_ns / 1e9
                self._ending.wait(max(0.0, due_s - time.monotonic()))
            timestamp_ns += self._settings.start_ns
        # A paced file stands in for a camera, so it behaves like one.
        wait = not self._source.live and not self._settings.paced
        self._tray.put(self._place, Ready(timestamp_ns, self._encoded(shot)), wait=wait)

    def _encoded(self, shot: Shot) -> Mapping[str, bytes]:
        if shot.jpeg is not None:
            return {self._cameras[0]: shot.jpeg}
        assert shot.image is not None
        parts = [shot.image]
        if self._layout is not None:
            height, width = shot.image.shape[:2]
            parts = [
                shot.image[y : y + h, x : x + w]
                for x, y, w, h in self._layout.boxes_in((width, height))
            ]
        return {camera: self._jpeg(part) for camera, part in zip(self._cameras, parts, strict=True)}

    def _jpeg(self, image: NDArray[np.uint8]) -> bytes:
        width = self._settings.width
        if width is not None and width < image.shape[1]:
            size = (width, round(image.shape[0] * width / image.shape[1]))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, self._settings.quality]
        return cv2.imencode(".jpg", np.ascontiguousarray(image), quality)[1].tobytes()
