"""`quadglass keys`: API keys made, listed and taken back; a running service follows at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ..errors import BadValue
from .screen import remark, results

if TYPE_CHECKING:
    from ..config import Scope

app = typer.Typer(help="API keys of a service.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(help="Settings as YAML, as for serve.")]
DataDir = Annotated[Path | None, typer.Option(help="The service's data directory.")]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who gets it.")],
    scopes: Annotated[
        str, typer.Option(help="What it may do: read, capture, admin (everything).")
    ] = "read,capture",
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, once; give a name a second one to change keys without a gap."""
    from ..key_ring import new_key
    from ..names import checked_name

    checked_name("key", name)
    may = _scopes(scopes)
    typer.echo(new_key(_file(config, data_dir), name, may))
    remark(f"{name} may {', '.join(may)}; keep it, it is not shown again")


@app.command("list")
def list_keys(
    config: Config = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
) -> None:
    """Who has keys, and what they may do."""
    from ..key_ring import read_keys

    keys = read_keys(_file(config, data_dir))
    if as_json:
        typer.echo(json.dumps([{"name": key.name, "scopes": key.scopes} for key in keys]))
        return
    for key in keys:
        results.print(f"{key.name}  {', '.join(key.scopes)}", highlight=False, markup=False)
    if not keys:
        remark("no keys; only this machine is served. Make one: quadglass keys new NAME")


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Whose keys.")],
    old: Annotated[bool, typer.Option("--old", help="All but the newest.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Take a name's keys back."""
    from ..key_ring import revoke as take_back

    count = take_back(_file(config, data_dir), name, keep_newest=old)
    remark(f"{count} key{'s' * (count != 1)} of {name} revoked")


def _scopes(text: str) -> list[Scope]:
    from ..config import Scope

    known = get_args(Scope)
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise BadValue(f"{word[:40]!r} is no scope; they are {', '.join(known)}")
    if not words:
        raise BadValue(f"a key without a scope opens nothing; name some of {', '.join(known)}")
    return [scope for scope in known if scope in words]


def _file(config: Path | None, data_dir: Path | None) -> Path:
    from ..config import load_settings
    from ..key_ring import FILE

    return (data_dir or load_settings(config).data_dir) / FILE
