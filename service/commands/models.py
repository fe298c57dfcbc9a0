"""`quadglass models`: networks listed, fetched, made ours, and chosen."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BadValue
from .screen import bar, remark, remarks, results, show_json

if TYPE_CHECKING:
    from ..config import Settings

app = typer.Typer(help="Networks: listed, fetched, made ours, and chosen.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(help="Settings as YAML, as for serve.")]
DataDir = Annotated[Path | None, typer.Option(help="The service's data directory.")]


@app.command("list")
def list_models(
    config: Config = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """What there is: in the package, pulled, to be pulled; and what is used."""
    from models.weights import default_weights

    from ..model_shelf import PUBLISHED, packaged, shelf, with_choice

    settings = _settings(config, data_dir)
    used = with_choice(settings).model
    rows: list[dict[str, Any]] = []
    for name in packaged():
        path = default_weights(name)
        is_used = used.weights is None and used.name == name
        rows.append({"name": name, "where": "package", **_file(path), "used": is_used})
    for one in PUBLISHED:
        path = shelf(settings.data_dir) / f"{one.name}.pth"
        where = "pulled" if path.exists() else "to be pulled"
        known = (
            _file(path) if path.exists() else {"path": None, "bytes": None, "sha256": one.sha256}
        )
        rows.append({"name": one.name, "where": where, **known, "used": False, "url": one.url})
    if used.weights is not None:
        rows.append(
            {"name": used.weights.name, "where": "file", **_file(used.weights), "used": True}
        )
    if as_json:
        show_json({"models": rows, "backend": used.backend})
        return
    for row in rows:
        size = "" if row["bytes"] is None else f", {row['bytes'] / 1e6:.1f} MB"
        mark = "*" if row["used"] else " "
        line = f"{mark} {row['name']:<14} {row['where']}{size}, sha256 {row['sha256'][:12]}"
        results.print(line, highlight=False, markup=False, soft_wrap=True)
    remark(f"* is used, by {used.backend}; another: quadglass models use NAME")


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="Of `quadglass models list`.")],
    url: Annotated[str | None, typer.Option(help="Another place that has the same file.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Download a published checkpoint and check it; then `quadglass models import` reads it."""
    from dataclasses import replace

    from ..model_shelf import PUBLISHED, pull

    known = {one.name: one for one in PUBLISHED}
    if name not in known:
        raise BadValue(
            f"{name!r} is not published anywhere that is known here; there is "
            f"{', '.join(known)}. Bring a file of your own: quadglass models import FILE"
        )
    wanted = known[name] if url is None else replace(known[name], url=url)
    with bar(f"pulling {name}") as step:
        path, digest = pull(_settings(config, data_dir).data_dir, wanted, step)
    if as_json:
        show_json({"name": name, "path": str(path), "sha256": digest})
    else:
        results.print(f"{path}, sha256 {digest[:12]}", highlight=False, soft_wrap=True)
    remark(f"make it ours: quadglass models import {path}")


@app.command()
def use(
    network: Annotated[str, typer.Argument(help="A name of the package, an .onnx or .ckpt file.")],
    config: Config = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Take this network from now on, in serve, work, detect and capture; it is loaded first.

    The settings win where they name one (model.name, model.weights). A .ckpt needs PyTorch.
    """
    from ..config import ModelSettings
    from ..model_shelf import choose
    from ..network import load_predictor

    settings = _settings(config, data_dir)
    if network.endswith(".ckpt"):
        model = ModelSettings(weights=Path(network), backend="torch")
    elif network.endswith(".onnx"):
        model = ModelSettings(weights=Path(network))
    else:
        model = ModelSettings(name=network)
    with remarks.status(f"loading {network}"):
        loaded = load_predictor(model)
    choose(settings.data_dir, model)
    if {"name", "weights"} & settings.model.model_fields_set:
        remark("note: the settings name a network (model.name or model.weights), and they win")
    if as_json:
        show_json({"name": loaded.name, "sha256": loaded.sha256, "backend": model.backend})
        return
    results.print(
        f"{loaded.name}, sha256 {loaded.sha256[:12]}, by {model.backend}", highlight=False
    )
    remark("a running service takes it at its next start")


def _settings(config: Path | None, data_dir: Path | None) -> Settings:
    from ..config import load_settings

    settings = load_settings(config)
    return settings if data_dir is None else settings.model_copy(update={"data_dir": data_dir})


def _file(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": digest}


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
