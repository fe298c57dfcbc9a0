"""Pictures between the threads that read them and the one that sends."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Ready", "Tray"]


@dataclass(frozen=True, slots=True)
class Ready:
    """Encoded pictures that were taken together: one of a camera, or all of a four-in-one."""

    timestamp_ns: int
    jpegs: Mapping[str, bytes]  # by camera


class Tray:
    """A few pictures of each source (state: them, who still reads, and what was passed over).

    A live source that finds its place full throws its oldest picture away; a file waits.
    """

    def __init__(self, sources: tuple[str, ...], depth: int) -> None:
        self._depth = depth
        self._lines: dict[str, deque[Ready]] = {source: deque() for source in sources}
        self._reading = set(sources)
        self._closed = False
        self._changed = threading.Condition()
        self.passed_over: Counter[str] = Counter()

    def put(self, source: str, ready: Ready, *, wait: bool) -> None:
        """Lays pictures down."""
        with self._changed:
            line = self._lines[source]
            while wait and len(line) >= self._depth and not self._closed:
                self._changed.wait()
            if len(line) >= self._depth:
                line.popleft()
                self.passed_over[source] += 1
            line.append(ready)
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Ready | None:
        """The oldest there is; None after the timeout, or when nobody reads any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._any() or not self._reading, timeout_s)
            return self._oldest() if self._any() else None

    def take_together(self, timeout_s: float, tolerance_ns: int) -> Ready | None:
        """The oldest moment with all its views, waited for until every source that reads has one.

        For files, whose pictures are all there and only read at different speeds.
        """
        with self._changed:
            self._changed.wait_for(self._each_has_one, timeout_s)
            if not self._each_has_one() or not self._any():
                return None
            moment = self._oldest()
            jpegs = dict(moment.jpegs)
            for line in self._lines.values():
                if line and line[0].timestamp_ns - moment.timestamp_ns <= tolerance_ns:
                    jpegs |= line.popleft().jpegs
            return Ready(moment.timestamp_ns, jpegs)

    def reader_ended(self, source: str) -> None:
        """This source will put no more."""
        with self._changed:
            self._reading.discard(source)
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        """Nobody reads any more, and nothing lies here."""
        with self._changed:
            return not self._reading and not self._any()

    def close(self) -> None:
        """Lets go of whoever waits to put."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _oldest(self) -> Ready:
        line = min(
            (line for line in self._lines.values() if line), key=lambda one: one[0].timestamp_ns
        )
        self._changed.notify_all()
        return line.popleft()

    def _any(self) -> bool:
        return any(self._lines.values())

    def _each_has_one(self) -> bool:
        return all(self._lines[source] for source in self._reading)
