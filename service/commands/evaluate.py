"""`quadglass evaluate`: weights measured on labelled photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..errors import BadValue
from .screen import remark, remarks, results, show_json

if TYPE_CHECKING:
    from rich.table import Table

    from models.grouping import FillName
    from models.training.evaluation import EvaluateReport, Row
    from models.training.peaks import OffsetName


def evaluate(
    sets: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Labelled photos in COCO format.")
    ],
    weights: Annotated[
        Path | None,
        typer.Option(help="ONNX file, or a checkpoint; else the network of the settings."),
    ] = None,
    side: Annotated[
        list[int] | None, typer.Option(help="Longer side that the network sees, px; several.")
    ] = None,
    every_photo: Annotated[
        bool, typer.Option("--every-photo", help="Also photos that training uses.")
    ] = False,
    peer: Annotated[
        Path | None, typer.Option(help="MoveNet MultiPose's ONNX file, to compare with.")
    ] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Photos of each set.")] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Look at the mirror image too, and average.")
    ] = False,
    scale: Annotated[
        list[float] | None,
        typer.Option(min=0.1, max=4, help="Look at this share of the side too, and average."),
    ] = None,
    fill: Annotated[
        str, typer.Option(help="Missing joints: none, peaks (weak ones), expected (also by place).")
    ] = "expected",
    offset: Annotated[
        str | None, typer.Option(help="Of a checkpoint's peaks: dark, parabola or quarter.")
    ] = None,
    draws: Annotated[
        int, typer.Option(min=0, help="Photos are drawn again so often for AP's interval.")
    ] = 200,
    worst: Annotated[
        Path | None, typer.Option(help="Folder for pictures of the worst photos.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Measure weights on labelled photos (needs the extra `train`)."""
    from .train import need_torch

    need_torch()
    from dataclasses import asdict
    from typing import get_args

    from models.grouping import DecodeSettings
    from models.grouping import FillName as Fills
    from models.looks import LookSettings
    from models.training.evaluation import EvaluateSettings
    from models.training.evaluation import evaluate as run
    from models.training.peaks import OffsetName as Offsets
    from models.weights import default_weights

    from .networks import chosen_network

    one_of("--fill", fill, get_args(Fills))
    if offset is not None:
        one_of("--offset", offset, get_args(Offsets))
    if weights is None:
        settings = chosen_network(None)
        weights = settings.weights or default_weights(settings.name)
    wanted = EvaluateSettings(
        weights=weights,
        sets=tuple(sets),
        input_sides=tuple(side or (256, 384)),
        every_photo=every_photo,
        peer=peer,
        most_photos=most,
        looks=LookSettings(mirror=mirror, scales=(1.0, *(scale or ()))),
        decode=DecodeSettings(fill=cast("FillName", fill)),
        offset=cast("OffsetName | None", offset),
        draws=draws,
        worst=worst,
    )
    with remarks.status("looking at the photos"):
        report = run(wanted)
    if as_json:
        show_json(numbers(asdict(report)))
    else:
        show(report)
    if report.worst:
        remark(f"{len(report.worst)} pictures of the worst photos -> {worst}")


def show(report: EvaluateReport) -> None:
    """Three tables: average precision, joints within reach, similarity by size and visibility."""
    crowd, rows = report.crowd_photos > 0, report.rows
    lines = [
        [
            *(figure(row.ap, crowd), f"{figure(row.ap_low)}-{figure(row.ap_high)}"),
            *(figure(value, crowd) for value in (row.ap50, row.ar, row.oracle_ap)),
            f"{row.ms_per_image:.1f}",
        ]
        for row in rows
    ]
    results.print(table(rows, ("AP", "95 %", "AP50", "AR", "oracle AP", "ms"), lines))
    lines = [[figure(value) for value in (row.pck, row.pckh, row.right_person)] for row in rows]
    results.print("\nlimb joints within reach; found joints with the right person", highlight=False)
    results.print(table(rows, ("PCK@0.2", "PCKh@0.5", "right person"), lines))
    likes = [row.similarity for row in rows]
    lines = [
        [figure(value) for value in (like.small, like.medium, like.large, like.seen, like.hidden)]
        for like in likes
    ]
    results.print("\nOKS of people by size, and of joints seen and hidden", highlight=False)
    results.print(table(rows, ("small", "medium", "large", "seen", "hidden"), lines))
    results.print(
        f"\nAP on {report.crowd_photos} photos with {report.crowd_people} people, "
        f"PCK on {report.sole_photos or report.crowd_photos} photos",
        highlight=False,
    )


def table(rows: Sequence[Row], columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    """One line for each network and size."""
    from rich.table import Table

    made = Table(box=None, padding=(0, 2, 0, 0))
    made.add_column("network")
    for heading in ("side px", *columns):
        made.add_column(heading, justify="right")
    for row, line in zip(rows, lines, strict=True):
        made.add_row(row.name, str(row.input_side), *line)
    return made


def figure(value: float, measured: bool = True) -> str:
    """Three digits, a dash where nothing was measured."""
    return f"{value:.3f}" if measured and not math.isnan(value) else "-"


def numbers(content: Any) -> Any:
    """The same for JSON: NaN is null, a path is text."""
    if isinstance(content, dict):
        return {key: numbers(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [numbers(value) for value in content]
    if isinstance(content, Path):
        return str(content)
    return None if isinstance(content, float) and math.isnan(content) else content


def one_of(option: str, value: str, known: Sequence[str]) -> None:
    """Nothing, if the value is known.

    Raises:
        BadValue: it is not.
    """
    if value not in known:
        raise BadValue(f"{option} {value}: give one of {', '.join(known)}")
