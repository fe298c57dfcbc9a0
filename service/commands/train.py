"""`quadglass train`: weights of one's own."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import BadSettings, BadValue
from .screen import bar, remark, results

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
    trunk_rate: Annotated[
        float, typer.Option(min=0, help="Share of the learning rate for the trunk; 0 freezes it.")
    ] = 0.0,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="PX:BATCH[=SHARE]", help="Side and pictures of a batch; several."),
    ] = None,
    mosaic: Annotated[float, typer.Option(min=0, help="Share of four pictures in one.")] = 0.0,
    paste: Annotated[float, typer.Option(min=0, help="Share with cut-out people.")] = 0.0,
    pack: Annotated[
        float, typer.Option(min=0, help="Share of canvases full of people's crops.")
    ] = 0.0,
    empty: Annotated[float, typer.Option(min=0, help="Share of backgrounds alone.")] = 0.02,
    turn: Annotated[
        float, typer.Option(min=0, max=180, help="Spread of the pictures' rotation, degrees.")
    ] = 12.0,
    any_turn: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pictures turned by any angle.")
    ] = 0.0,
    network: Annotated[
        str | None, typer.Option(help="quadglass-m, quadglass-s or small (from scratch).")
    ] = None,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")] = 1,
    seed: int = 0,
) -> None:
    """Train a network on labelled photos (needs the extra `train`)."""
    need_torch()
    from models.architectures import quadglass_m, quadglass_s, small
    from models.training.loop import TrainSettings
    from models.training.loop import train as run
    from models.training.mix import MixSettings

    networks = {"quadglass-m": quadglass_m, "quadglass-s": quadglass_s, "small": small}
    if network is not None and network not in networks:
        raise BadValue(f"--network {network}: give one of {', '.join(networks)}")
    sizes, shares = zip(*map(batch_size, size or ("256:10",)), strict=True)
    mix = MixSettings(
        sets=tuple(replace(train_set(w), turn_deg=turn, any_turn=any_turn) for w in sets),
        backgrounds=backgrounds,
        background_share=empty,
        paste_share=paste,
        mosaic_share=mosaic,
        packed_share=pack,
        sizes=sizes,
        size_shares=shares,
        seed=seed,
    )
    settings = TrainSettings(
        output=out,
        mix=mix,
        steps=steps,
        start=start,
        trunk=trunk,
        config=networks[network or "quadglass-m"](),
        learning_rate=learning_rate,
        trunk_rate=trunk_rate,
        validation=tuple(validation or ()),
        threads=threads,
        workers=workers,
        most_minutes=minutes,
        seed=seed,
    )
    remark(f"figures of the run: {out / 'log.jsonl'} and curves.png")
    with bar("training", steps) as step:
        report = run(settings, step)
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


def batch_size(word: str) -> tuple[tuple[int, int], float]:
    """`PX:BATCH` or `PX:BATCH=SHARE`: side in pixels, pictures a batch, share of all batches.

    Raises:
        BadValue: no such numbers, or a side whose half is no multiple of 32 (mosaics).
    """
    pair, equals, share = word.partition("=")
    side, _, count = pair.partition(":")
    try:
        numbers = (int(side), int(count)), float(share) if equals else 1.0
    except ValueError as error:
        raise BadValue(f"--size {word}: write for example 256:10 or 320:6=0.5") from error
    if numbers[0][0] % 64 or numbers[0][0] <= 0 or numbers[0][1] <= 0 or not numbers[1] > 0:
        raise BadValue(f"--size {word}: the side is a multiple of 64, the rest more than zero")
    return numbers
