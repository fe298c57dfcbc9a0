"""When a call is tried again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from .problem import Problem, Unreachable, problem_of_response

__all__ = ["Retry", "failed", "wait_s"]

# Full, not ready (starting, or its workers are away), and what a proxy says while it restarts.
BUSY = frozenset({429, 502, 503})


@dataclass(frozen=True, slots=True)
class Retry:
    """How patient a client is."""

    tries: int = 6
    first_wait_s: float = 0.25  # doubled each time, and varied so that many clients spread out
    most_wait_s: float = 10.0


def wait_s(
    retry: Retry,
    attempt: int,
    repeatable: bool,
    outcome: httpx.Response | httpx.TransportError,
    dice: Callable[[], float] = random.random,
) -> float | None:
    """Seconds until the next try, or None for no more.

    Args:
        retry: how patient.
        attempt: tries made, from 1.
        repeatable: whether sending it twice does no harm.
        outcome: what came of it.
        dice: evenly in [0, 1).
    """
    if attempt >= retry.tries:
        return None
    grown = min(retry.first_wait_s * 2.0 ** (attempt - 1), retry.most_wait_s)
    if isinstance(outcome, httpx.Response):
        if outcome.status_code not in BUSY:
            return None
        # It was refused, so sending it again is safe whatever it is.
        told = outcome.headers.get("Retry-After", "")
        if told.isdigit():
            return float(told) + 0.1 * dice()
    elif not repeatable and not isinstance(outcome, httpx.ConnectError):
        return None  # it may have been done, and doing it twice would be wrong
    return grown * (0.5 + 0.5 * dice())


def failed(url: str, outcome: httpx.Response | httpx.TransportError) -> Problem | Unreachable:
    """The exception for an outcome that is not tried again."""
    if isinstance(outcome, httpx.Response):
        return problem_of_response(outcome)
    said = str(outcome) or type(outcome).__name__
    return Unreachable(f"{url} does not answer ({said}); is the service running there?")
