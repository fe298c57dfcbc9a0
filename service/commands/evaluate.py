"""`quadglass evaluate`: weights measured on labelled photos."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from .screen import remarks, results, show_json


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
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Measure weights on labelled photos (needs the extra `train`)."""
    from .train import need_torch

    need_torch()
    from dataclasses import asdict

    from rich.table import Table

    from models.training.evaluation import EvaluateSettings
    from models.training.evaluation import evaluate as run
    from models.weights import default_weights

    from .networks import chosen_network

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
    )
    with remarks.status("looking at the photos"):
        report = run(wanted)
    if as_json:
        rows = [
            {k: None if v != v else v for k, v in asdict(row).items()}  # NaN is null in JSON
            for row in report.rows
        ]
        show_json({**asdict(report), "rows": rows})
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("network")
    for heading in ("side px", "AP", "AP50", "AR", "oracle AP", "PCK@0.2", "ms a photo"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        crowd = (row.ap, row.ap50, row.ar, row.oracle_ap)
        measured = [*(crowd if report.crowd_photos else 4 * (math.nan,))]
        measured.append(row.pck if report.sole_photos else math.nan)
        shown = ["-" if math.isnan(value) else f"{value:.3f}" for value in measured]
        table.add_row(row.name, str(row.input_side), *shown, f"{row.ms_per_image:.1f}")
    results.print(table)
    results.print(
        f"AP on {report.crowd_photos} photos with {report.crowd_people} people, "
        f"PCK on {report.sole_photos} photos with one labelled person",
        highlight=False,
    )
