"""Requests that carry an Idempotency-Key are done once; a repetition gets the same answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .errors import BadIdentity

__all__ = ["Once", "fingerprint_of"]

_KEPT = 1000  # answers remembered, the oldest go first


class Once:
    """Answers by key (state: the answers; they do not survive a restart)."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, asyncio.Future[dict[str, Any]]]] = OrderedDict()

    async def do(
        self, key: str, fingerprint: str, work: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """What the work gives, or gave when the same key was used before.

        An error is not remembered: the same key may try again.

        Raises:
            BadIdentity: the key was used for something else.
        """
        known = self._known.get(key)
        if known is not None:
            if known[0] != fingerprint:
                raise BadIdentity(
                    f"Idempotency-Key {key[-40:]!r} was used for another request; "
                    "make a new key for each frame set"
                )
            return await asyncio.shield(known[1])
        future = asyncio.ensure_future(work())
        self._known[key] = (fingerprint, future)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        try:
            return await asyncio.shield(future)
        except Exception:
            self._known.pop(key, None)
            raise


def fingerprint_of(values: Mapping[str, str], files: Mapping[str, bytes]) -> str:
    """The same for the same form, and for no other."""
    digest = hashlib.sha256()
    for name, data in sorted({**{k: v.encode() for k, v in values.items()}, **files}.items()):
        digest.update(f"{len(name)}:{name}:{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()
