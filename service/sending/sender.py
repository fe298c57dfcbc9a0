"""Sends what readers lay down into a stream, and follows what becomes of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from calibration.layout import Layout
from quadglass import Client, Dropped, Problem, Stream, Unreachable
from quadglass.live import Mode

from ..errors import BadValue
from .reader import Reader, ReadSettings
from .source import Source
from .tray import Tray

__all__ = ["SendSettings", "Sending", "send"]

_TAKE_S = 0.2
_PAUSE_S = 1.0
_DEPTH = 8  # pictures of each camera that may wait here when every one is wanted
# Refusals that pass: starting, shutting down, too many streams.
_PASSING = frozenset({"not_ready", "queue_full"})


@dataclass(frozen=True, slots=True)
class SendSettings:
    """Where to, and how."""

    rig: str
    capture: str | None = None
    mode: Mode = "latest"
    tolerance_ms: float = 10.0
    quality: int = 85
    width: int | None = None
    paced: bool = True


@dataclass(slots=True)
class Sending:
    """What has become of it so far (state: counts)."""

    sent: int = 0  # pictures
    answered: int = 0  # frame sets
    people: int = 0  # in the latest
    dropped: Counter[str] = field(default_factory=Counter)
    report: Mapping[str, Any] = field(default_factory=dict)
    broke_off: int = 0  # connections


def send(
    client: Client,
    sources: Mapping[str, Source],
    layout: Layout | None,
    settings: SendSettings,
    *,
    tell: Callable[[str], None],
    progress: Callable[[Sending], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Sending:
    """Sends until the files end, or until stopped where a source is live.

    Args:
        client: of the service.
        sources: by camera; with a layout one source, whose parts are the rig's cameras in order.
        layout: of four-in-one pictures.
        settings: where to, and how.
        tell: is told in words what breaks and comes back.
        progress: is shown the counts after everything.
        stop: ends it politely.

    Raises:
        BadValue: the rig has no such camera.
        SourceLost: a file cannot be read.
        Problem: the service refuses.
    """
    stop = stop or threading.Event()
    sending = Sending()
    readers: list[Reader] = []
    tray = Tray(tuple(sources), 1 if settings.mode == "latest" else _DEPTH)
    # Files that are not held to their rate are read at different speeds; moments wait for all.
    in_step = not settings.paced and not any(source.live for source in sources.values())
    tolerance_ns = round(settings.tolerance_ms * 1e6) if in_step else None
    try:
        while not stop.is_set():
            try:
                with _stream(client, settings) as stream:
                    if not readers:
                        readers = _started(stream.hello, sources, layout, settings, tray, tell)
                    if _pass_on(stream, tray, tolerance_ns, sending, progress, stop):
                        break
            except (Unreachable, Problem) as error:
                if isinstance(error, Problem) and error.code not in _PASSING:
                    raise
                if not readers:
                    raise  # never worked: the address is wrong, or nobody runs it
                sending.broke_off += 1
                tell(f"{error}; trying again")
                stop.wait(_PAUSE_S)
    finally:
        for reader in readers:
            reader.stop()
        tray.close()
    for reader in readers:
        if reader.error is not None:
            raise reader.error
    sending.dropped.update({"passed_over": sum(tray.passed_over.values())})
    return sending


def _stream(client: Client, settings: SendSettings) -> Stream:
    return client.stream(
        settings.rig,
        capture=settings.capture,
        mode=settings.mode,
        tolerance_ms=settings.tolerance_ms,
    )


def _started(
    hello: Mapping[str, Any],
    sources: Mapping[str, Source],
    layout: Layout | None,
    settings: SendSettings,
    tray: Tray,
    tell: Callable[[str], None],
) -> list[Reader]:
    cameras = tuple(hello["cameras"])
    if layout is None:
        unknown = sorted(set(sources) - set(cameras))
        if unknown:
            raise BadValue(
                f"the rig {settings.rig!r} has no camera {unknown[0]!r}; its cameras are "
                f"{', '.join(cameras)}"
            )
    # Behind what the capture holds already, so that a file can be sent into it again.
    start_ns = max(time.time_ns(), (hello.get("last_timestamp_ns") or 0) + 1)
    reading = ReadSettings(
        quality=settings.quality,
        width=settings.width,
        paced=settings.paced,
        start_ns=start_ns,
        begin_s=time.monotonic(),
    )
    readers = [
        Reader(name, source, (name,) if layout is None else cameras, layout, reading, tray, tell)
        for name, source in sources.items()
    ]
    for reader in readers:
        reader.start()
    return readers


def _pass_on(
    stream: Stream,
    tray: Tray,
    tolerance_ns: int | None,
    sending: Sending,
    progress: Callable[[Sending], None],
    stop: threading.Event,
) -> bool:
    """Sends until all is answered (True), or the connection breaks (an exception)."""
    failed: list[Exception] = []

    def follow() -> None:
        try:
            for event in stream:
                if isinstance(event, Dropped):
                    sending.dropped[event.reason] += 1
                else:
                    sending.answered += 1
                    sending.people = len(event.people)
                sending.report = stream.report
                progress(sending)
        except Exception as error:  # told where it is sent; a thread's own end would be silent
            failed.append(error)

    follower = threading.Thread(target=follow, name="answers", daemon=True)
    follower.start()
    while not (tray.over or stop.is_set()):
        if failed or not follower.is_alive():
            raise failed[0] if failed else Unreachable("the service ended the stream")
        if tolerance_ns is None:
            ready = tray.take(_TAKE_S)
        else:
            ready = tray.take_together(_TAKE_S, tolerance_ns)
        if ready is not None:
            stream.send(ready.jpegs, ready.timestamp_ns)
            sending.sent += len(ready.jpegs)
    stream.end()
    follower.join()
    if failed:
        raise failed[0]
    return True
