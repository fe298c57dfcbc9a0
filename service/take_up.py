"""What an earlier run of the service accepted for a ticket and did not answer is answered now."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.concurrency import run_in_threadpool

from .errors import NotReady, QueueFull
from .frame_sets import accept, finish
from .state import Service
from .task import Posted

__all__ = ["kept_before", "take_up_tickets"]

logger = logging.getLogger(__name__)

_RETRY_S = 0.2


async def take_up_tickets(service: Service) -> None:
    """Begins them in their order; returns when all are on their way."""
    for ticket, rig, posted in await run_in_threadpool(lambda: list(service.tickets.left())):
        logger.info("ticket %s of an earlier run is taken up", ticket)
        on_its_way = asyncio.Event()
        service.tickets.work_on(ticket, _again(service, rig, posted, on_its_way))
        await on_its_way.wait()


async def kept_before(service: Service, posted: Posted) -> dict[str, Any] | None:
    """The result of that moment in its capture: the work was done, its answer was not kept."""
    if posted.capture is None or posted.timestamp_ns is None:
        return None
    take = (await service.captures.get(posted.capture)).take
    found = await run_in_threadpool(take.at_time, posted.timestamp_ns)
    if found is None or found.get("posted") != list(posted.images):
        return None
    return found


async def _again(
    service: Service, rig: str, posted: Posted, on_its_way: asyncio.Event
) -> dict[str, Any]:
    try:
        kept = await kept_before(service, posted)
        while kept is None:
            try:
                accepted = await accept(service, rig, posted, patient=True)
                break
            except (QueueFull, NotReady):
                if service.draining:
                    raise
                await asyncio.sleep(_RETRY_S)
    finally:
        on_its_way.set()
    return await finish(service, accepted) if kept is None else kept
