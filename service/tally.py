"""What became of a stream's frame sets, in numbers, and how long the answers took."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

import numpy as np

__all__ = ["Tally"]

_LATENCIES = 256  # the last so many are told of


class Tally:
    """Counts of one stream (state). Each view or set received ends as answered or as dropped."""

    def __init__(self) -> None:
        self._received = self._answered = 0
        self._dropped: Counter[str] = Counter()
        self._latencies_s: deque[float] = deque(maxlen=_LATENCIES)
        self._told = (0, time.monotonic())  # answered at the last report, and when that was

    def receive(self) -> None:
        """One more to be accounted for."""
        self._received += 1

    def answer(self, latency_s: float) -> None:
        """One got its result."""
        self._answered += 1
        self._latencies_s.append(latency_s)

    def drop(self, reason: str) -> None:
        """One got none."""
        self._dropped[reason] += 1

    def report(self) -> dict[str, Any]:
        """As it is told; the rate is that since the report before."""
        before, since = self._told
        self._told = (self._answered, time.monotonic())
        seconds = max(self._told[1] - since, 1e-3)
        latency_ms: dict[str, float | None] = {"p50": None, "p95": None}
        if self._latencies_s:
            p50, p95 = 1e3 * np.percentile(np.array(self._latencies_s), (50, 95))
            latency_ms = {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}
        return {
            "type": "report",
            "received": self._received,
            "answered": self._answered,
            "dropped": dict(self._dropped),
            "sets_per_s": round((self._answered - before) / seconds, 2),
            "latency_ms": latency_ms,
        }
