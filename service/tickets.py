"""Answers that are fetched later: what `Prefer: respond-async` gets instead of waiting."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

from .errors import NotFound

__all__ = ["Tickets"]

_KEPT = 1000  # the oldest finished ones go; a result is some ten kilobytes


class Tickets:
    """Work under way or done, by ticket (state: the tasks; they do not survive a restart)."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[str, asyncio.Task[dict[str, Any]]] = OrderedDict()

    def issue(self, work: Coroutine[Any, Any, dict[str, Any]]) -> str:
        """Starts the work; the ticket to ask for it with."""
        ticket = secrets.token_hex(12)
        self._tasks[ticket] = asyncio.create_task(work)
        for old in [name for name, task in self._tasks.items() if task.done()]:
            if len(self._tasks) <= _KEPT:
                break
            _ = self._tasks.pop(old).exception()  # looked at, so that nobody warns about it
        return ticket

    def result(self, ticket: str) -> dict[str, Any] | None:
        """The result, None while it is worked on; raises what the work raised.

        Raises:
            NotFound: never issued, or forgotten since.
        """
        task = self._tasks.get(ticket)
        if task is None:
            raise NotFound(
                f"there is no ticket {ticket[:40]!r}: never issued, older than the last {_KEPT}, "
                "or from before a restart"
            )
        return task.result() if task.done() else None

    async def finish(self) -> None:
        """Waits for what is under way."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
