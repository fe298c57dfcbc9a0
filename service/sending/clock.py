"""When a picture was taken, for a source whose clock starts anywhere."""

from __future__ import annotations

from collections import deque

__all__ = ["ArrivalClock"]

_WINDOW = 300  # pictures: ten seconds at 30 Hz, in which a camera's clock drifts by a millisecond


class ArrivalClock:
    """Turns a source's own time into Unix time (state: the latest delays).

    A picture arrives late by the way it went, never early: the smallest difference between arrival
    and the source's time over the last pictures is their offset plus the shortest way, and jitter
    is gone. Two cameras on ways of different length keep the difference of their shortest ways.
    """

    def __init__(self) -> None:
        self._differences: deque[float] = deque(maxlen=_WINDOW)
        self._last = float("-inf")

    def at(self, source_s: float, arrived_s: float) -> float:
        """Unix time in seconds, never going back.

        Args:
            source_s: by the source's clock.
            arrived_s: by ours.
        """
        self._differences.append(arrived_s - source_s)
        self._last = max(source_s + min(self._differences), self._last + 1e-6)
        return self._last
