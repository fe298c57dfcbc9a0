"""How many bytes a body may have: counted as they come, before anything parses them.

Starlette spools file parts to disk before a route sees them, so a limit inside the route would be
too late. A declared length is refused at once; an undeclared one when the count passes the limit.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .config import LimitSettings
from .errors import BodyTooLarge, Malformed
from .problems import problem_response

__all__ = ["BodyLimit", "body_limit"]

_UPLOADS = ("/calibrations", "/videos")  # footage: videos and zips


def body_limit(path: str, settings: LimitSettings) -> int:
    """Bytes that a body for this path may have."""
    return settings.upload_bytes if path.endswith(_UPLOADS) else settings.body_bytes


class BodyLimit:
    """Refuses bodies over the limit with 413."""

    def __init__(self, app: ASGIApp, limit_of: Callable[[str], int]) -> None:
        self._app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts what is received; answers itself once it is too much."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit():
            error = Malformed(f"Content-Length {declared[:40]!r} is no number of bytes")
            await problem_response(error)(scope, receive, send)
            return
        if int(declared) > limit:
            await problem_response(_too_large(int(declared), limit))(scope, receive, send)
            return
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > limit:
                raise _too_large(count, limit)
            return message

        answered = False

        async def guarded(message: Message) -> None:
            # A framework that catches the error and answers in its own way is overruled.
            nonlocal answered
            if count <= limit:
                await send(message)
            elif not answered:
                answered = True
                await problem_response(_too_large(count, limit))(scope, receive, send)

        try:
            await self._app(scope, counted, guarded)
        except BodyTooLarge as error:
            if not answered:
                await problem_response(error)(scope, receive, send)


def _too_large(count: int, limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the body has {count} bytes or more, the limit here is {limit}; "
        "send less at a time, smaller or more compressed pictures, or raise limits.body_bytes"
    )
