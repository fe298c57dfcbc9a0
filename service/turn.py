"""The order of a capture's frame sets: each waits until those before it are answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

__all__ = ["Turn"]


@dataclass(slots=True, eq=False)
class Turn:
    """A frame set's place in its capture (state: whether it is over)."""

    sequence: int
    timestamp_ns: int
    earlier: tuple[asyncio.Future[None], ...]  # those of the frame sets before it
    over: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    async def come(self) -> None:
        """Returns when everything before it is answered."""
        if self.earlier:
            await asyncio.wait(self.earlier)
