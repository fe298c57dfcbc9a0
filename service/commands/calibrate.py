"""`quadglass calibrate`: footage of a board in, a rig file and a report out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import BadValue
from .screen import bar, remark, results, show_json

if TYPE_CHECKING:
    from rich.table import Table

    from calibration.calibrate import Progress
    from calibration.rig import Rig

STAGES = {
    "detect": "look for the board",
    "lenses": "lens by lens",
    "connect": "connect the cameras",
    "refine": "refine all together",
    "check": "check the result",
}
GRADE_COLORS = {"good": "green", "usable": "yellow", "bad": "red"}


def calibrate(
    footage: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="One folder of images or one video per camera."),
    ],
    board: Annotated[str, typer.Option(help="Inner corners, columns x rows: 9x6.")],
    square_mm: Annotated[float, typer.Option(help="Side of a printed square.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Rig file to write.")],
    kind: Annotated[
        Literal["quad", "stereo", "multi"] | None,
        typer.Option(help="By the number of cameras, if not given."),
    ] = None,
    intrinsics: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Close-ups of the board, each camera alone.")
    ] = None,
    quad: Annotated[
        str | None,
        typer.Option(metavar="LAYOUT", help="DIR is four-in-one: 2x2, 4x1, 1x4 or 'x,y,w,h;...'."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="CAMERA", help="The camera that anchors the world.")
    ] = None,
    world: Annotated[
        Literal["reference", "board", "floor"],
        typer.Option(help="Where its origin is: the camera, the board, or the board on the floor."),
    ] = "reference",
    world_moment: Annotated[
        str | None,
        typer.Option(metavar="MOMENT", help="Whose board; else the one most cameras saw."),
    ] = None,
    lenses: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Lenses that are known and stay: any rig file."),
    ] = None,
    lens: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="pinhole5 (if not given), pinhole8 or fisheye; of one camera as cam0:fisheye.",
        ),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="What of a lens stays: center, aspect, distortion, focal; cam0:center for one. "
            "Of known lenses (--lenses) all, if not given.",
        ),
    ] = None,
    bend: Annotated[
        bool, typer.Option("--bend", help="The board may be bent: find how far and make up for it.")
    ] = False,
    distance: Annotated[
        list[str] | None,
        typer.Option(metavar="A:B:METRES", help="Measured between two lenses, to check the scale."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the rig; else the file's name.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What was measured: a page if .html, else JSON."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="What was measured, as JSON on stdout.")
    ] = False,
) -> None:
    """Calibrate a rig from footage of a chessboard or ChArUco board."""
    from calibration.board import parse_board
    from calibration.calibrate import CalibrateSettings
    from calibration.calibrate import calibrate as run
    from calibration.layout import parse_layout
    from calibration.lens_choice import parse_fixed
    from calibration.prepare import CANDIDATES, footage_from_dir, footage_from_quad
    from calibration.rig_file import rig_to_yaml
    from calibration.settings import lenses_in, models_of

    from .export import read_rig

    target = parse_board(board, square_mm)
    if quad is not None and intrinsics is not None:
        raise BadValue(
            "--quad and --intrinsics do not go together: cut the footage first (quadglass "
            "prepare), then calibrate the folder that it writes with --intrinsics"
        )
    with bar("read the videos") as read:
        if quad is None:
            pictures = footage_from_dir(footage, intrinsics, moments=CANDIDATES, progress=read)
        else:
            layout = parse_layout(quad)
            pictures = footage_from_quad(footage, layout, moments=CANDIDATES, progress=read)
    known = lenses_in(read_rig(lenses), pictures.cameras) if lenses else ({}, {})
    settings = CalibrateSettings(
        name=name or out.name.split(".")[0],
        kind=kind,
        reference=reference,
        world=world,
        world_moment=world_moment,
        known_lenses=known[0],
        known_sizes_px=known[1],
        models=models_of(lens or [], pictures.cameras, known[0]),
        fixed=parse_fixed(fix or [], pictures.cameras),
        bend=bend,
        distances=tuple(_distance(word) for word in distance or ()),
        workers=len(os.sched_getaffinity(0)),
    )
    with bar("looking for the board") as step:

        def show(now: Progress) -> None:
            step(now.done, now.total, STAGES.get(now.stage, now.stage))

        calibration = run(pictures, target, settings, progress=show)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(rig_to_yaml(calibration.rig), encoding="utf-8")
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(_as_text(calibration.report, report), encoding="utf-8")
    if as_json:
        show_json(calibration.report)
    else:
        results.print(camera_table(calibration.rig))
        _show_verdict(calibration.rig)
    remark(f"-> {out}{f', {report}' if report else ''}")


def _distance(word: str) -> tuple[str, str, float]:
    parts = word.split(":")
    try:
        first, second, metres = parts[0], parts[1], float(":".join(parts[2:]))
    except (IndexError, ValueError):
        raise BadValue(
            f"the distance {word!r} is not understood; write CAMERA:CAMERA:METRES, left:right:0.5"
        ) from None
    return first, second, metres


def _as_text(report: dict[str, Any], path: Path) -> str:
    from calibration.report_html import report_html

    if path.suffix.lower() in (".html", ".htm"):
        return report_html(report)
    return json.dumps(report, indent=2, allow_nan=False)


def camera_table(rig: Rig) -> Table:
    """One line a camera: its lens, its fit, where it stands."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("camera", "focal px", "rms px", "p95 px", "views", "corners", "coverage"):
        table.add_column(heading, justify="left" if heading == "camera" else "right")
    table.add_column("centre m", justify="right")
    for camera in rig.cameras:
        quality = camera.quality
        fit = ("-", "-", "-", "-", "-")
        if quality is not None:
            fit = (
                f"{quality.rms_px:.3f}",
                f"{quality.p95_px:.3f}",
                str(quality.views),
                str(quality.corners),
                f"{100 * quality.coverage:.0f} %",
            )
        place = " ".join(f"{value:.3f}" for value in camera.center_world)
        table.add_row(camera.name, f"{camera.K[0, 0]:.1f}", *fit, place)
    return table


def _show_verdict(rig: Rig) -> None:
    quality, verdict = rig.quality, rig.verdict
    if quality is not None:
        parts = [f"rms {quality.rms_px:.3f} px"]
        if quality.cross_validation_px is not None:
            parts.append(f"cross-validated {quality.cross_validation_px:.3f} px")
        if quality.edge_error_mm is not None:
            parts.append(f"board edges off by {quality.edge_error_mm:.2f} mm")
        if quality.sigma_mm_at is not None:
            at = quality.sigma_mm_at
            parts.append(f"a point known to {at.center:.2f} mm, at worst {at.worst:.2f} mm")
        results.print(f"rig: {', '.join(parts)}", highlight=False)
    if rig.rejected:
        results.print(f"left out: {len(rig.rejected)} views", highlight=False)
    if verdict is None:
        return
    results.print(f"verdict: [{GRADE_COLORS[verdict.grade]}]{verdict.grade}[/]")
    for finding in verdict.findings:
        results.print(f"  {finding.message}; {finding.fix}", highlight=False, markup=False)
