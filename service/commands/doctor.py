"""`quadglass doctor`: what this machine can run, and how fast the default network runs on it."""

from __future__ import annotations

from typing import Annotated

import typer

from .screen import remark, results, show_json


def doctor(
    redis: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Only ask a Redis, say redis://127.0.0.1:6379/0."),
    ] = None,
    ready: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Only ask a running service whether it is ready."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Say what this machine can run, and how fast the default network runs on it."""
    from ..checkup import READY_TIMEOUT_S, examine, look_at_redis, service_problem

    if ready is not None:
        problem = service_problem(ready, READY_TIMEOUT_S)
        if problem is not None:
            remark(f"{ready} is not ready: {problem}")
            raise typer.Exit(1)
        return
    findings = examine() if redis is None else [look_at_redis(redis)]
    if as_json:
        show_json([{"what": f.what, "state": f.state, "says": f.says} for f in findings])
    else:
        from rich.table import Table

        colors = {"good": "green", "note": "yellow", "bad": "red"}
        table = Table(box=None, show_header=False, padding=(0, 2))
        for one in findings:
            table.add_row(f"[{colors[one.state]}]{one.state}[/]", one.what, one.says)
        results.print(table)
    if any(one.state == "bad" for one in findings):
        raise typer.Exit(1)
