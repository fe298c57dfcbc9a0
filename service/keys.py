"""Who may ask: hashed API keys with scopes, and what stands in for them where there are none.

Without keys the service answers only on loopback, only to a loopback host name (a page elsewhere
that rebinds its name to 127.0.0.1 is refused) and, for anything that changes state, only to its
own page. `http.open_listen` turns these three off for a container behind something that guards.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from .config import ApiKey, Settings
from .config import Scope as KeyScope
from .errors import KeyMissing, NotAllowed, ServiceError, UnsafeListen
from .hashing import matches
from .key_ring import KeyRing
from .problems import problem_response

__all__ = ["KeyGate", "is_loopback", "needed_scope", "refuse_open_listen"]

_KNOWN = 256  # presented keys whose hash has been checked already
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CAPTURE_TAILS = ("/frames", "/images", "/captures", "/videos")
_OPEN_PATHS = ("/health/", "/static/")
_STREAM_TAIL = "/stream"  # a socket that takes pictures; other sockets only tell
_KEY_PROTOCOL = "key."  # a browser cannot send headers with a socket, but it names sub-protocols


def refuse_open_listen(settings: Settings) -> None:
    """Refuses to listen beyond loopback for everybody.

    Raises:
        UnsafeListen: the address is not loopback, there are no keys, and nobody said it is meant.
    """
    http = settings.http
    if is_loopback(http.host) or http.open_listen or KeyRing(settings).keys():
        return
    raise UnsafeListen(
        f"refusing to listen on {http.host} without API keys: anybody who reaches it could read "
        "takes and change rigs; make a key (quadglass keys new NAME), listen on 127.0.0.1, or, "
        "where something else keeps strangers out, set http.open_listen "
        "(QUADGLASS_HTTP_OPEN_LISTEN=true)"
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class KeyGate:
    """Lets in whoever may come in (state: the keys that were checked already)."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._open_listen = settings.http.open_listen
        self._ring = KeyRing(settings)
        self._known: dict[bytes, ApiKey] = {}  # by the SHA-256 of a key that was right

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with 401 or 403, or passes on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        try:
            if keys := self._ring.keys():
                await self._check_key(scope, headers, keys)
            elif not self._open_listen:
                _check_local(scope, headers)
        except ServiceError as error:
            await problem_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _check_key(
        self, scope: Scope, headers: Mapping[str, bytes], keys: tuple[ApiKey, ...]
    ) -> None:
        path, method = scope["path"], scope.get("method", "GET")
        if path == "/" or path.startswith(_OPEN_PATHS):
            return  # the page holds no data of its own
        presented = _presented(headers) or _offered(scope)
        if presented is None:
            raise KeyMissing(
                "this service wants an API key: send `Authorization: Bearer KEY`, or with a "
                "socket from a browser the sub-protocols `quadglass.v1, key.KEY`"
            )
        found = await self._find(presented, keys)
        if found is None:
            raise KeyMissing("this API key is not one of the service's; check it for typing errors")
        sends = scope["type"] == "websocket" and path.endswith(_STREAM_TAIL)
        needed: KeyScope = "capture" if sends else needed_scope(method, path)
        if needed not in found.scopes and "admin" not in found.scopes:
            raise NotAllowed(
                f"key {found.name!r} may {', '.join(found.scopes)}, but {method} {path} needs "
                f"{needed!r}; use a key with that scope"
            )

    async def _find(self, presented: str, keys: tuple[ApiKey, ...]) -> ApiKey | None:
        quick = hashlib.sha256(presented.encode()).digest()
        known = self._known.get(quick)
        if known is not None and known in keys:  # not revoked since
            return known
        for key in keys:
            if await run_in_threadpool(matches, presented, key.hash):
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[quick] = key
                return key
        return None


def needed_scope(method: str, path: str) -> KeyScope:
    """The scope that a request needs."""
    if method in _SAFE:
        return "read"
    # Only POST: what is renamed or deleted may be called `frames` too.
    return "capture" if method == "POST" and path.endswith(_CAPTURE_TAILS) else "admin"


def _presented(headers: Mapping[str, bytes]) -> str | None:
    scheme, _, token = headers.get("authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return headers.get("x-api-key", b"").decode("latin-1") or None


def _offered(scope: Scope) -> str | None:
    """The key that a socket offers as a sub-protocol."""
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(_KEY_PROTOCOL):
            return str(protocol.removeprefix(_KEY_PROTOCOL))
    return None


def _check_local(scope: Scope, headers: Mapping[str, bytes]) -> None:
    """Without keys: only this machine, and only pages of this service."""
    server = (scope.get("server") or ("127.0.0.1", None))[0]
    host = urlsplit("//" + headers.get("host", b"").decode("latin-1"))
    local = _is_in_process(server) or (is_loopback(server) and is_loopback(host.hostname or ""))
    if not local:
        raise NotAllowed(
            f"without API keys only this machine is served, not {host.hostname or server}; "
            "use http://127.0.0.1, or make a key with: quadglass keys new NAME"
        )
    origin = headers.get("origin", b"").decode("latin-1")
    if origin and scope.get("method") not in _SAFE and urlsplit(origin).netloc != host.netloc:
        raise NotAllowed(f"a page of {origin} may not change anything here")


def _is_in_process(server: str) -> bool:
    # The test client calls the app under this name; a Unix socket is a path or nothing.
    return server in ("testserver", "") or server.startswith("/")
