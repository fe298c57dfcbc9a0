"""Requests that carry an Idempotency-Key are done once; a repetition gets the same answer.

That a request was begun is on the disk before it is done, and its answer after: a restart in
between is noticed by the repetition, which then looks whether the work was done.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from .answers import Answers
from .errors import BadIdentity

__all__ = ["Once", "fingerprint_of"]

Work = Callable[[], Awaitable[dict[str, Any]]]


class Once:
    """Answers by key (state: the work under way; answers are on the disk)."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._under_way: dict[str, tuple[str, asyncio.Future[dict[str, Any]]]] = {}

    async def do(
        self,
        key: str,
        fingerprint: str,
        work: Work,
        done_before: Callable[[], Awaitable[dict[str, Any] | None]],
    ) -> dict[str, Any]:
        """What the work gives, or gave when the same key was used before.

        An error is not remembered: the same key may try again.

        Args:
            key: what the poster chose.
            fingerprint: of the request.
            work: does it.
            done_before: looks for its result where a restart came before the answer was kept.

        Raises:
            BadIdentity: the key was used for something else.
        """
        under_way = self._under_way.get(key)
        if under_way is None:
            future = asyncio.ensure_future(self._done(key, fingerprint, work, done_before))
            under_way = self._under_way[key] = (fingerprint, future)
            future.add_done_callback(lambda _: self._under_way.pop(key, None))
        _check(key, under_way[0], fingerprint)
        return await asyncio.shield(under_way[1])

    async def _done(
        self,
        key: str,
        fingerprint: str,
        work: Work,
        done_before: Callable[[], Awaitable[dict[str, Any] | None]],
    ) -> dict[str, Any]:
        known = await run_in_threadpool(self._answers.get, key)
        result: dict[str, Any] | None = None
        if known is not None:
            _check(key, known["fingerprint"], fingerprint)
            if known["result"] is not None:
                return dict(known["result"])
            result = await done_before()
        record = {"fingerprint": fingerprint, "result": None}
        try:
            if result is None:
                await run_in_threadpool(self._answers.put, key, record)
                result = await work()
            await run_in_threadpool(self._answers.put, key, {**record, "result": result})
        except Exception:
            await run_in_threadpool(self._answers.forget, key)
            raise
        return result


def fingerprint_of(values: Mapping[str, str], files: Mapping[str, bytes]) -> str:
    """The same for the same form, and for no other."""
    digest = hashlib.sha256()
    for name, data in sorted({**{k: v.encode() for k, v in values.items()}, **files}.items()):
        digest.update(f"{len(name)}:{name}:{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def _check(key: str, known: str, fingerprint: str) -> None:
    if known != fingerprint:
        raise BadIdentity(
            f"Idempotency-Key {key[-40:]!r} was used for another request; "
            "make a new key for each frame set"
        )
