"""`quadglass work`: a worker process on a Redis queue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .networks import Backend, with_backend


def work(
    redis: Annotated[
        str | None, typer.Option(metavar="URL", help="The queue, redis://HOST:PORT/N.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings as YAML.")] = None,
    backend: Annotated[
        Backend | None, typer.Option(help="What runs the network; torch: on a GPU, our kernels.")
    ] = None,
) -> None:
    """Look at frame sets that services leave in Redis, until told to stop (SIGTERM drains)."""
    from ..config import load_settings
    from ..logs import write_logs
    from ..model_shelf import with_choice
    from ..work import work as run

    settings = load_settings(config)
    if redis is not None:
        queue = settings.queue.model_copy(update={"kind": "redis", "url": redis})
        settings = settings.model_copy(update={"queue": queue})
    settings = with_choice(settings)
    if backend is not None:
        settings = with_backend(settings, backend)
    write_logs(settings.log)
    run(settings)
