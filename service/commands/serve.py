"""`quadglass serve`: the service and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .networks import Backend, with_backend


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings as YAML.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
    backend: Annotated[
        Backend | None, typer.Option(help="What runs the network; torch: on a GPU, our kernels.")
    ] = None,
) -> None:
    """Run the service and its page. Options win over QUADGLASS_* variables, those over --config."""
    from ..config import load_settings
    from ..listen import listen
    from ..logs import write_logs
    from ..model_shelf import with_choice

    settings = load_settings(config)
    changes = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    settings = settings.model_copy(update={"http": settings.http.model_copy(update=changes)})
    if data_dir is not None:
        settings = settings.model_copy(update={"data_dir": data_dir})
    settings = with_choice(settings)
    if backend is not None:
        settings = with_backend(settings, backend)
    write_logs(settings.log)
    listen(settings)
