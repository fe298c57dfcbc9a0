"""`quadglass train`: weights of one's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import BadSettings, BadValue
from .screen import remark, remarks, results

if TYPE_CHECKING:
    from models.training.mix import TrainSet


def train(
    sets: Annotated[
        list[str],
        typer.Argument(metavar="DIR[=SHARE]...", help="Labelled photos in COCO format."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; a run found there goes on.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of the whole run.")] = 20_000,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after so many, to go on another time.")
    ] = None,
    trunk: Annotated[
        Path | None, typer.Option(help="MoveNet's ONNX file, for a run that begins with it.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="Checkpoint whose weights a new run begins with.")
    ] = None,
    backgrounds: Annotated[Path | None, typer.Option(help="Photos without people.")] = None,
    validation: Annotated[
        list[Path] | None, typer.Option(help="Sets whose held-out photos are measured on.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(min=0)] = 1e-3,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")] = 1,
    seed: int = 0,
) -> None:
    """Train a network on labelled photos (needs the extra `train`)."""
    need_torch()
    from models.training.loop import TrainSettings
    from models.training.loop import train as run
    from models.training.mix import MixSettings

    mix = MixSettings(sets=tuple(map(train_set, sets)), backgrounds=backgrounds, seed=seed)
    settings = TrainSettings(
        output=out,
        mix=mix,
        steps=steps,
        start=start,
        trunk=trunk,
        learning_rate=learning_rate,
        validation=tuple(validation or ()),
        threads=threads,
        workers=workers,
        most_minutes=minutes,
        seed=seed,
    )
    with remarks.status(f"training; its figures are in {out / 'log.jsonl'} and curves.png"):
        report = run(settings)
    ap = "not measured" if report.ap is None else f"{report.ap:.3f}"
    loss = "not logged yet" if math.isnan(report.loss) else f"{report.loss:.4f}"
    results.print(f"step {report.step}, loss {loss}, AP {ap}", highlight=False)
    remark(
        f"-> {report.checkpoint}; make it usable: quadglass export {report.checkpoint} -o FILE.onnx"
    )


def need_torch() -> None:
    """Nothing, where PyTorch is installed.

    Raises:
        BadSettings: it is not.
    """
    try:
        import torch  # noqa: F401  # looked for, used by what is imported next
    except ImportError as error:
        raise BadSettings(
            "training and measuring need PyTorch, which is not installed here: "
            "bash deploy/setup.sh train"
        ) from error


def train_set(word: str) -> TrainSet:
    """`DIR` or `DIR=SHARE`.

    Raises:
        BadValue: the share is no number, or the folder is not there.
    """
    from models.training.mix import TrainSet

    folder, equals, share = word.partition("=")
    try:
        weight = float(share) if equals else 1.0
    except ValueError as error:
        raise BadValue(f"{word!r}: {share!r} is no share; write for example {folder}=2") from error
    if not weight > 0:
        raise BadValue(f"{word!r}: a share is greater than zero")
    if not Path(folder).is_dir():
        raise BadValue(f"{folder} is no folder; give one with photos and COCO annotations")
    return TrainSet(Path(folder), share=weight)
