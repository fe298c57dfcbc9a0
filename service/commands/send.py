"""`quadglass send`: cameras, network streams or files into a live stream of a service."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import BadValue
from .screen import remark, remarks, results

if TYPE_CHECKING:
    from ..sending.sender import Sending

KEY_VARIABLE = "QUADGLASS_KEY"


def send(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="CAMERA=SOURCE...",
            help="/dev/video0, rtsp://HOST/PATH or a file; with --quad one SOURCE without a name.",
        ),
    ],
    rig: Annotated[str, typer.Option(help="Rig that the cameras belong to.")],
    url: Annotated[str, typer.Option(help="Of the service.")] = "http://127.0.0.1:8000",
    capture: Annotated[
        str | None, typer.Option(help="Capture to record into; made if it is new.")
    ] = None,
    mode: Annotated[
        Literal["latest", "all"],
        typer.Option(help="latest keeps up and drops what is overtaken; all waits."),
    ] = "latest",
    tolerance_ms: Annotated[
        float, typer.Option(min=0.0, help="Views this close in time are one moment.")
    ] = 10.0,
    quad: Annotated[
        str | None, typer.Option(metavar="LAYOUT", help="SOURCE is four-in-one: 2x2, 'x,y,w,h;...'")
    ] = None,
    quality: Annotated[
        int, typer.Option(min=10, max=100, help="Of JPEGs that are made here.")
    ] = 85,
    width: Annotated[
        int | None, typer.Option(min=64, help="Reduce pictures to it; the rig has to be of it.")
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Asked of USB cameras.")] = None,
    rate_hz: Annotated[float | None, typer.Option(min=0.1, help="Asked of USB cameras.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Files as fast as they are taken.")] = False,
    key: Annotated[
        str | None, typer.Option(help=f"API key; better in the variable {KEY_VARIABLE}.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Counts as JSON on stdout.")] = False,
) -> None:
    """Send live pictures to a service; Ctrl-C ends it once what was sent is answered."""
    from calibration.layout import parse_layout
    from quadglass import Client, Problem, Unreachable

    from ..sending.sender import SendSettings
    from ..sending.sender import send as run

    layout = parse_layout(quad) if quad else None
    named = _named(sources, size, rate_hz, alone=layout is not None)
    settings = SendSettings(rig, capture, mode, tolerance_ms, quality, width, not fast)
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        with (
            Client(url, key or os.environ.get(KEY_VARIABLE)) as client,
            remarks.status(f"sending to {url}") as status,
        ):

            def show(now: Sending) -> None:
                status.update(_line(now))

            if capture is not None:
                _have_capture(client, rig, capture)
            done = run(client, named, layout, settings, tell=remark, progress=show, stop=stop)
    except (Problem, Unreachable) as error:
        raise BadValue(str(error)) from error
    finally:
        signal.signal(signal.SIGINT, before)
    dropped = {reason: count for reason, count in done.dropped.items() if count}
    if as_json:
        counts: dict[str, Any] = {
            "pictures": done.sent,
            "answered": done.answered,
            "dropped": dropped,
            "broke_off": done.broke_off,
        }
        typer.echo(json.dumps(counts))
        return
    results.print(f"{done.sent} pictures sent, {done.answered} frame sets answered")
    for reason, count in dropped.items():
        results.print(f"  {count} dropped: {reason}", highlight=False)


def _named(texts: list[str], size: str | None, rate_hz: float | None, *, alone: bool) -> Any:
    from ..sending.source import parse_source

    if alone:
        if len(texts) != 1:
            raise BadValue(f"--quad takes one four-in-one source, not {len(texts)}")
        return {"": parse_source(texts[0], size, rate_hz)}
    named = {}
    for text in texts:
        camera, equals, address = text.partition("=")
        if not (camera and equals and address):
            raise BadValue(f"{text[:60]!r} is not CAMERA=SOURCE, such as cam0=/dev/video0")
        if camera in named:
            raise BadValue(f"camera {camera!r} has two sources; give each its own name")
        named[camera] = parse_source(address, size, rate_hz)
    return named


def _have_capture(client: Any, rig: str, capture: str) -> None:
    from quadglass import Problem

    try:
        client.create_capture(rig, capture)
    except Problem as error:
        if error.code != "exists":
            raise


def _line(now: Sending) -> str:
    report = now.report
    parts = [f"{now.answered} frame sets", f"{now.people} people"]
    if report:
        parts.append(f"{report['sets_per_s']:.1f} a second")
        p50 = report["latency_ms"]["p50"]
        if p50 is not None:  # the service reports before its first answer, too
            parts.append(f"{p50:.0f} ms")
    lost = sum(now.dropped.values())
    return ", ".join(parts) + (f", {lost} dropped" if lost else "")
