"""`quadglass models import`: a published network's checkpoint made one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .screen import remark, remarks, results, show_json

app = typer.Typer(help="Networks of other repositories.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Networks of other repositories."""


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="princeton pose-ae, princeton single-person or mmpose file.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Checkpoint to write; else FILE.ckpt.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Make a published hourglass checkpoint one of ours (needs the extra `train`).

    Every key of the file must be known and none may be missing; nothing in it is run.
    """
    from .train import need_torch

    need_torch()
    from models.published.checkpoints import import_checkpoint
    from models.training.checkpoint import Checkpoint, save_checkpoint

    with remarks.status(f"reading {file}"):
        found = import_checkpoint(file)
        target = out or file.with_name(f"{file.name}.ckpt")
        weights = found.network.state_dict()
        target.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(target, Checkpoint(found.config, weights, weights, {}, 0, 0.0))
    millions = sum(weight.numel() for weight in found.network.parameters()) / 1e6
    account = {
        "layout": found.layout,
        "source": found.source,
        "network": found.config.name,
        "stacks": found.config.stacks,
        "joints": found.config.joints,
        "million_parameters": round(millions, 3),
        "prefix": found.prefix,
        "keys_read": len(found.read),
        "keys_stored_but_unused": list(found.unread),
        "counters_set_to_zero": list(found.counters),
        "not_weights": list(found.others),
        "checkpoint": str(target),
    }
    if as_json:
        show_json(account)
        return
    results.print(
        f"{found.config.name}, {found.config.stacks} stacks, {found.config.joints} joints, "
        f"{millions:.2f} M parameters, as {found.source} writes it",
        highlight=False,
    )
    results.print(
        f"{len(found.read)} keys read, {len(found.unread)} stored but never used by that code, "
        f"{len(found.counters)} counters set to zero, none missing, none unknown; "
        f"left out: {', '.join(found.others) or 'nothing'}",
        highlight=False,
    )
    use = f"quadglass evaluate DIR --weights {target}" if found.config.tags else "docs/published.md"
    remark(f"-> {target}; use it: {use}")
