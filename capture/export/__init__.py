"""A take in other programs' formats. `FORMATS` says which, `export_take` writes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from calibration.rig import Rig

from ..errors import ExportError
from ..people import Frame
from ..timeline import rate_of
from .angles import angles_text
from .bvh import bvh_zip
from .c3d import c3d_bytes
from .csv import csv_text
from .glb import glb_bytes
from .json import json_text
from .parquet import parquet_bytes
from .trc import trc_text, write_trc
from .views import coco_zip, openpose_zip

__all__ = ["FORMATS", "Format", "export_take", "write_trc"]


class Format(NamedTuple):
    """How a take becomes a file."""

    write: Callable[[Sequence[Frame], Rig, float], bytes]  # frames, rig, rate in Hz
    media_type: str
    extension: str


def _trc(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return trc_text(frames, rate_hz).encode()


def _csv(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return csv_text(frames).encode()


def _parquet(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return parquet_bytes(frames, rate_hz)


def _json(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return json_text(frames, rig, rate_hz).encode()


def _c3d(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return c3d_bytes(frames, rate_hz)


def _glb(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return glb_bytes(frames, rate_hz)


def _bvh(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return bvh_zip(frames, rate_hz)


def _angles(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return angles_text(frames).encode()


def _openpose(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return openpose_zip(frames)


def _coco(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> bytes:
    return coco_zip(frames)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "trc": Format(_trc, "text/tab-separated-values", "trc"),
        "json": Format(_json, "application/json", "json"),
        "csv": Format(_csv, "text/csv", "csv"),
        "parquet": Format(_parquet, "application/vnd.apache.parquet", "parquet"),
        "c3d": Format(_c3d, "application/octet-stream", "c3d"),
        "glb": Format(_glb, "model/gltf-binary", "glb"),
        "bvh": Format(_bvh, "application/zip", "bvh.zip"),
        "angles": Format(_angles, "text/csv", "angles.csv"),
        "openpose": Format(_openpose, "application/zip", "openpose.zip"),
        "coco": Format(_coco, "application/zip", "coco.zip"),
    }
)


def export_take(
    frames: Sequence[Frame], rig: Rig, format: str, *, rate_hz: float | None = None
) -> bytes:
    """The take as a file of that format.

    Args:
        frames: in order of time, identities given.
        rig: that the take was made with.
        format: a key of `FORMATS`.
        rate_hz: of the take; None takes it from the timestamps.

    Raises:
        ExportError: the format is not known, or the take holds nothing it could write.
    """
    if format not in FORMATS:
        raise ExportError(
            f"no export format {format!r}; use one of {', '.join(FORMATS)}", field="format"
        )
    rate = rate_of(frames) if rate_hz is None else rate_hz
    return FORMATS[format].write(frames, rig, rate)
