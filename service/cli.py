"""The command `quadglass`: one file a command in `commands/`, and the one place for their errors.

A command file imports what its work needs inside the function: `quadglass --help` answers in a
tenth of a second, and only `train` and `evaluate` ever see PyTorch.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from calibration.errors import CalibrationError
from capture.errors import CaptureError
from models.errors import ModelError

from .commands import (
    board,
    calibrate,
    capture,
    check_rig,
    detect,
    doctor,
    evaluate,
    export,
    keys,
    link_rigs,
    models,
    plan,
    plot,
    prepare,
    reconstruct,
    send,
    serve,
    train,
    work,
)
from .errors import ServiceError

__all__ = ["BAD_INPUT", "app", "main"]

BAD_INPUT = 2  # exit status; typer uses the same for an option that it cannot read
FAILED = 1

OURS = (CalibrationError, CaptureError, ModelError, ServiceError)
UNREADABLE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


class _Commands(TyperGroup):
    """The commands, with every refusal as one sentence on stderr and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # `quadglass ... | head` is no failure; typer ends quietly
        except (*OURS, OSError) as error:
            typer.echo(f"quadglass: {_sentence(error)}", err=True)
            bad_input = isinstance(error, (*OURS, *UNREADABLE))
            raise typer.Exit(BAD_INPUT if bad_input else FAILED) from error


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


app = typer.Typer(
    name="quadglass",
    cls=_Commands,
    help="Multi-camera pose capture: a board in, a rig out; frames in, people in metres out.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(plan.plan)
app.command()(board.board)
app.command()(prepare.prepare)
app.command()(calibrate.calibrate)
app.command()(check_rig.check_rig)
app.command()(link_rigs.link_rigs)
app.command()(detect.detect)
app.command()(capture.capture)
app.command()(reconstruct.reconstruct)
app.command()(plot.plot)
app.command()(export.export)
app.command()(serve.serve)
app.command()(send.send)
app.command()(work.work)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(doctor.doctor)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"quadglass {version('quadglass')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what happens, on stderr.")
    ] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def main() -> None:
    """Runs the command line."""
    app()
