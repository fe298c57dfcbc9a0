"""Has a camera of a rig moved since it was calibrated? Asked with new boards, or with a capture."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from calibration.board import parse_board
from calibration.drift import Drift
from calibration.rig import Rig
from capture.result import frame_from_json

from ..errors import BadValue, NoViews
from ..forms import number, require_multipart, uploads
from ..rig_check import check_by_boards, check_by_people, drifts_to_json
from ..state import Service, ServiceDep
from ..uploads import Upload, save_footage
from .bodies import pictures_body

router = APIRouter(prefix="/v1/rigs", tags=["rigs"])

_VALUES = {
    "board": "Inner corners, columns x rows: `9x6`; ChArUco as `charuco:5x7:DICT_4X4_50`.",
    "square_mm": "Side of a printed square, millimetres.",
    "capture": "Instead of pictures: a capture of this rig, whose people are looked at.",
}
_BODY = pictures_body(
    "A few new moments of the board; the field is the camera's name: pictures (one field each, "
    "those of one moment under one file name), a video, or a zip.",
    _VALUES,
    required=(),
)


@router.post("/{rig}/check", openapi_extra=_BODY)
async def check(rig: str, request: Request, service: ServiceDep) -> dict[str, Any]:
    """Which cameras have moved, by how much and how sure that is.

    With `board` and pictures, or with `capture` alone; answered at once, kept nowhere.
    """
    calibration, cameras = service.store.active_rig(rig)
    require_multipart(request)
    limits = service.settings.limits
    async with request.form(max_files=limits.footage_pictures, max_fields=len(_VALUES) + 1) as form:
        values = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        unknown = sorted(values.keys() - _VALUES.keys())
        if unknown:
            raise BadValue(
                f"field {unknown[0]!r} is not known here; values are {', '.join(_VALUES)}, and "
                "pictures have to be sent as files (with a file name)",
                field=f"/{unknown[0]}",
            )
        files = [Upload(name, one.filename or "", one.file) for name, one in uploads(form)]
        if "capture" in values and not files:
            drifts = await _by_people(service, rig, cameras, values["capture"])
        elif "capture" in values:
            raise BadValue("pictures and a capture exclude each other; send one", field="/capture")
        else:
            drifts = await run_in_threadpool(_by_boards, service, cameras, values, files)
    return {"rig": rig, "calibration": calibration, **drifts_to_json(drifts)}


async def _by_people(service: Service, rig: str, cameras: Rig, name: str) -> tuple[Drift, ...]:
    take = (await service.captures.get(name)).take
    if take.record.rig != rig:
        raise BadValue(
            f"capture {name!r} is of rig {take.record.rig!r}, not of {rig!r}", field="/capture"
        )

    def run() -> tuple[Drift, ...]:
        return check_by_people(cameras, [frame_from_json(frame) for frame in take.frames()])

    return await run_in_threadpool(run)


def _by_boards(
    service: Service, cameras: Rig, values: dict[str, str], files: list[Upload]
) -> tuple[Drift, ...]:
    square_mm = number(values, "square_mm")
    if "board" not in values or square_mm is None:
        missing = "board" if "board" not in values else "square_mm"
        raise BadValue(
            f"{missing} is missing; say what the board is: board=9x6 square_mm=25, or name a "
            "capture",
            field=f"/{missing}",
        )
    board = parse_board(values["board"], square_mm)
    if not files:
        raise NoViews("no pictures in the form; send some of each camera, or name a capture")
    with tempfile.TemporaryDirectory(prefix="rig-check-") as folder:
        save_footage(files, Path(folder) / "footage", service.settings.limits)
        return check_by_boards(cameras, Path(folder) / "footage", board)
