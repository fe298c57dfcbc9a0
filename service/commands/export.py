"""`quadglass export`: a take or a rig in another format, or a training run's weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from ..errors import BadValue
from .screen import remark

if TYPE_CHECKING:
    from calibration.rig import Rig
    from capture.people import Frame


def export(
    source: Annotated[
        Path, typer.Argument(help="take.json of a capture, a rig file, or a training run's .ckpt.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="trc, csv or json; else by the file's ending. Of a rig: yaml, opencv, easymocap "
            "(a folder), toml, kalibr or ros (a folder).",
        ),
    ] = None,
    rig: Annotated[
        Path | None,
        typer.Option(help="The rig that it was made with; else rig.yaml beside the take."),
    ] = None,
    offset: Annotated[
        str | None,
        typer.Option(help="Of a checkpoint's peaks, in a cell: dark, parabola or quarter."),
    ] = None,
    int8: Annotated[
        Path | None,
        typer.Option(help="Photos to calibrate eight bits on; the source is an .onnx file then."),
    ] = None,
) -> None:
    """Write a take or a rig in another format, or a checkpoint as ONNX weights."""
    if int8 is not None:
        _export_int8(source, out, int8)
        return
    if source.suffix == ".ckpt":
        _export_weights(source, out, offset)
        return
    if offset is not None:
        raise BadValue("--offset is of a checkpoint's peaks; give a .ckpt")
    from calibration.formats.files import RIG_FORMATS

    if form in RIG_FORMATS:
        _export_rig(source, out, form)
        return
    from capture.export import export_take

    frames, rate_hz = read_take(source)
    cameras = read_rig(rig or source.parent / "rig.yaml")
    content = export_take(frames, cameras, form or out.suffix.lstrip(".").lower(), rate_hz=rate_hz)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    remark(f"{len(frames)} frames -> {out}")


def _export_rig(source: Path, out: Path, form: str) -> None:
    from calibration.formats.files import rig_as_files

    files, lost_px = rig_as_files(read_rig(source), form, out)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    lost = f"; its lenses are {lost_px:.3f} px (RMS) off in this format" if lost_px else ""
    remark(f"-> {', '.join(str(path) for path in files)}{lost}")


def _export_weights(checkpoint: Path, out: Path, offset: str | None) -> None:
    from .evaluate import one_of
    from .train import need_torch

    need_torch()
    from models.training.export import ExportSettings
    from models.training.export import export as run
    from models.training.peaks import OffsetName, PeakSettings

    peaks = PeakSettings()
    if offset is not None:
        one_of("--offset", offset, get_args(OffsetName))
        peaks = PeakSettings(offset=cast("OffsetName", offset))
    report = run(ExportSettings(checkpoint, out, peaks=peaks))
    remark(
        f"-> {report.path}, {report.size_bytes / 1e6:.1f} MB, sha256 {report.sha256[:12]}; scores "
        f"differ from PyTorch's by at most {report.score_error:.1e}"
    )


def _export_int8(weights: Path, out: Path, photos: Path) -> None:
    from .detect import PICTURES
    from .train import need_torch

    need_torch()
    from models.training.int8 import Int8Settings, to_int8

    if not photos.is_dir():
        raise BadValue(f"{photos} is no folder; give one with photos to calibrate on")
    files = sorted(path for path in photos.iterdir() if path.suffix.lower() in PICTURES)
    to_int8(Int8Settings(weights, out, tuple(files)))
    remark(f"-> {out}, {out.stat().st_size / 1e6:.1f} MB; measure it: quadglass evaluate --weights")


def read_take(path: Path) -> tuple[list[Frame], float]:
    """The frames of a take.json, and their rate in Hz.

    Raises:
        BadValue: it is not a take.json.
        BadResult: a frame in it is not what was written.
    """
    from capture.export.json import TAKE_FORMAT
    from capture.result import frame_from_json

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != TAKE_FORMAT:
            raise ValueError(f"format {content['format']!r}, need {TAKE_FORMAT!r}")
        rows, rate_hz = content["frames"], float(content["rate_hz"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadValue(
            f"{path} is no take ({type(error).__name__}: {error}); give the take.json of a capture"
        ) from error
    return [frame_from_json(row) for row in rows], rate_hz


def read_rig(path: Path) -> Rig:
    """The rig in a file of any format that is known, or in a folder of EasyMocap's two files.

    Raises:
        BadRigFile: it is none, or a damaged one.
    """
    from calibration.errors import BadRigFile
    from calibration.formats import read_any, read_easymocap
    from calibration.formats.easymocap import EXTRI, INTRI

    folder = path if path.is_dir() else path.parent
    try:
        if path.is_dir() or path.name in (INTRI, EXTRI):
            pair = (folder / INTRI).read_bytes(), (folder / EXTRI).read_bytes()
            return read_easymocap(*pair, name=folder.name or "rig")
        return read_any(path.read_bytes(), name=path.stem.split(".")[0])
    except BadRigFile as error:
        raise BadRigFile(f"{path}: {error}", camera=error.camera, field=error.field) from error
    except FileNotFoundError as error:
        raise BadRigFile(
            f"{error.filename} is not there; a rig is one file, or {INTRI} and "
            f"{EXTRI} in one folder"
        ) from error
