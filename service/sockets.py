"""What every socket does: it is taken, and why it is refused or ended is told on it."""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket

from .errors import BodyTooLarge, QueueFull, code_of
from .problems import internal_response, problem_of

__all__ = ["ENDED", "PROTOCOL", "refuse_socket", "take_socket"]

PROTOCOL = "quadglass.v1"
# Close codes of RFC 6455, section 7.4, and its registry.
ENDED, _REFUSED, _TOO_BIG, _TRY_LATER = 1000, 1008, 1009, 1013
_TELL_S = 5.0


async def take_socket(socket: WebSocket) -> None:
    """Takes the connection; what is wrong is told on it, for a browser shows no other refusal."""
    offered = socket.scope.get("subprotocols", ())
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)


async def refuse_socket(socket: WebSocket, error: Exception) -> None:
    """Tells why, as a `problem` message, and closes."""
    if code_of(error) == "internal":
        internal_response(error)  # for its log
    code = _REFUSED
    if isinstance(error, QueueFull):
        code = _TRY_LATER
    elif isinstance(error, BodyTooLarge):
        code = _TOO_BIG
    problem = problem_of(error)
    try:
        async with asyncio.timeout(_TELL_S):
            await socket.send_json({"type": "problem", "problem": problem})
            await socket.close(code, problem["code"])
    except (TimeoutError, RuntimeError, OSError):
        return  # nobody is there to be told
