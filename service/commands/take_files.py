"""A take as files: what `capture` and `reconstruct` leave in their folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
from rich.table import Table

from calibration.rig import Rig
from calibration.rig_file import rig_to_yaml
from capture.export import FORMATS, export_take
from capture.people import Frame
from capture.plots import take_plots

from ..take_summary import TakeSummary
from .screen import remark, results, show_json

__all__ = ["FORMS", "show_take", "summary_table", "write_plots", "write_take"]

FORMS = ("json", "trc", "csv", "angles")


def write_take(frames: Sequence[Frame], rig: Rig, rate_hz: float, folder: Path) -> list[Path]:
    """The take, its angles and its plots in the folder, and the rig that they were made with."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "rig.yaml"]
    written[0].write_text(rig_to_yaml(rig), encoding="utf-8")
    for form in FORMS:
        path = folder / f"take.{FORMATS[form].extension}"
        path.write_bytes(export_take(frames, rig, form, rate_hz=rate_hz))
        written.append(path)
    return written + write_plots(frames, rig, folder)


def write_plots(frames: Sequence[Frame], rig: Rig, folder: Path) -> list[Path]:
    """trajectories.png, quality.png and angles.png in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, picture in take_plots(frames, rig).items():
        written.append(folder / f"{name}.png")
        cv2.imwrite(str(written[-1]), picture)
    return written


def show_take(
    summary: TakeSummary, seconds: float | None, written: Sequence[Path], *, as_json: bool
) -> None:
    """Says what came of a take, on stdout, and where it is."""
    if as_json:
        files = [str(path) for path in written]
        show_json({**asdict(summary), "seconds": seconds, "files": files})
    else:
        results.print(summary_table(summary, seconds))
    remark(f"-> {', '.join(map(str, written))}")


def summary_table(summary: TakeSummary, seconds: float | None = None) -> Table:
    """The take's numbers for a person to read."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("frames", str(summary.frames))
    table.add_row("people", str(summary.people))
    table.add_row("frames with a person in 3D", f"{100 * summary.share_captured:.1f} %")
    table.add_row("joints found of those people", f"{100 * summary.joints_share:.1f} %")
    table.add_row("mean reprojection error", _number(summary.reprojection_px, "px"))
    table.add_row("median sigma", _number(summary.sigma_mm, "mm"))
    table.add_row("views a joint, mean", _number(summary.views, ""))
    if summary.swapped:
        share = f"{summary.swapped} of {summary.sightings}"
        table.add_row("views with left and right put right", share)
    if seconds:
        table.add_row("frame sets a second", f"{summary.frames / seconds:.1f}")
    return table


def _number(value: float | None, unit: str) -> str:
    return "not known: nobody in 3D" if value is None else f"{value:.1f} {unit}".strip()
