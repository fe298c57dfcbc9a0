"""Calibrations: footage of a board in, a job; the finished one never changes."""

from __future__ import annotations

import shutil
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from calibration.footage import clips_in, quad_clips
from calibration.layout import parse_layout
from calibration.report_html import report_html

from ..calibration_jobs import CalibrationRequest
from ..errors import BadValue, NotFound, NoViews
from ..forms import number, require_multipart, uploads
from ..state import Service, ServiceDep
from ..uploads import Upload, save_footage
from .bodies import pictures_body
from .jobs import job_to_json
from .rigs import YAML, rig_to_json

router = APIRouter(prefix="/v1", tags=["calibrations"])

_VALUES = {
    "board": "Inner corners, columns x rows: `9x6`; ChArUco as `charuco:5x7:DICT_4X4_50`.",
    "square_mm": "Side of a printed square, millimetres.",
    "kind": "`quad`, `stereo` or `multi`; by the number of cameras if absent.",
    "layout": "How four cameras lie in one picture: `2x2`, `4x1`, `1x4` or `x,y,w,h;…`.",
    "reference": "The camera that anchors the world; the first if absent.",
    "world": "`reference` (that camera is the origin), `board` or `floor` (where the board lay).",
    "lens": "Model of the lenses: `pinhole5` (if absent), `pinhole8` or `fisheye`; of single "
    "cameras as `cam0:fisheye,cam1:pinhole8`.",
    "lenses": "Id of a calibration whose lenses are known and stay (import it with PUT rig.yaml).",
    "fix": "What of the lenses stays: `center`, `aspect`, `distortion`, `focal`, of one camera as "
    "`cam0:center`; all of a known lens if absent.",
    "bend": "`true` if the board may be bent: how far is found and made up for.",
    "world_moment": "Name of the moment whose board is the world; the one most cameras saw.",
}
_CHOICES = {
    "kind": ("quad", "stereo", "multi"),
    "world": ("reference", "board", "floor"),
    "bend": ("true", "false"),
}
# The page carries its own styles and drawings and loads nothing.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_BODY = pictures_body(
    "A camera's footage, the field is its name: pictures (one field each), a video, or a zip. "
    "`footage` holds all cameras at once: a zip with a folder or video for each, or, with "
    "`layout`, the four-in-one video, pictures or zip.",
    _VALUES,
    required=("board", "square_mm"),
)


@router.post("/rigs/{rig}/calibrations", status_code=202, openapi_extra=_BODY)
async def post_calibration(rig: str, request: Request, service: ServiceDep) -> JSONResponse:
    """A calibration from footage of a board, as a job. Pictures of one moment share a name."""
    service.store.rig(rig)
    service.jobs.check_room()
    require_multipart(request)
    limits = service.settings.limits
    async with request.form(max_files=limits.footage_pictures, max_fields=len(_VALUES) + 1) as form:
        wanted = _request(form)
        wanted.check()
        if wanted.lenses is not None:
            service.store.calibration(wanted.lenses)
        files = [Upload(name, one.filename or "", one.file) for name, one in uploads(form)]
        if not files:
            raise NoViews("no footage in the form; send a video, pictures or a zip for each camera")
        job_id = service.jobs.board.new_id()
        try:
            await run_in_threadpool(_keep, service, job_id, files, wanted)
        except BaseException:
            shutil.rmtree(service.jobs.board.directory(job_id), ignore_errors=True)
            raise
    job = service.jobs.add(job_id, rig, wanted)
    address = f"/v1/jobs/{job.id}"
    return JSONResponse(job_to_json(job), status_code=202, headers={"Location": address})


@router.get("/calibrations/{calibration}")
async def get_calibration(calibration: str, service: ServiceDep) -> dict[str, Any]:
    """One calibration: whose, from when, its cameras and how good it is."""
    record = service.store.calibration(calibration)
    active = service.store.rig(record.rig).calibration == record.id
    return {
        "id": record.id,
        "rig": record.rig,
        "created": record.created,
        "origin": record.origin,
        "active": active,
        **rig_to_json(service.store.calibrated_rig(calibration)),
    }


@router.get("/calibrations/{calibration}/rig.yaml", response_class=PlainTextResponse)
async def get_calibration_file(calibration: str, service: ServiceDep) -> PlainTextResponse:
    """The calibration as a rig file."""
    return PlainTextResponse(service.store.rig_yaml(calibration), media_type=YAML)


@router.get("/calibrations/{calibration}/report.json")
async def get_report(calibration: str, service: ServiceDep) -> dict[str, Any]:
    """What was measured while calibrating."""
    return service.store.report(calibration)


@router.get("/calibrations/{calibration}/report.html", response_class=HTMLResponse)
async def get_report_page(calibration: str, service: ServiceDep) -> HTMLResponse:
    """What was measured while calibrating, as one page with pictures."""
    report = service.store.report(calibration)
    if "findings" not in report:
        raise NotFound(
            f"calibration {calibration!r} was imported, so nothing was measured; its cameras are "
            f"at /v1/calibrations/{calibration}"
        )
    page = await run_in_threadpool(report_html, report)
    return HTMLResponse(page, headers={"Content-Security-Policy": _PAGE_POLICY})


@router.post("/calibrations/{calibration}/activate")
async def activate(calibration: str, service: ServiceDep) -> dict[str, Any]:
    """Puts the calibration in force for its rig; captures that began keep theirs."""
    record = service.store.activate(calibration)
    return {"rig": record.name, "calibration": record.calibration}


def _request(form: FormData) -> CalibrationRequest:
    values = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    for name in values:
        if name not in _VALUES:
            raise BadValue(
                f"field {name!r} is not known here; values are {', '.join(_VALUES)}, and footage "
                "has to be sent as files (with a file name)",
                field=f"/{name}",
            )
    for name, choices in _CHOICES.items():
        if values.get(name, choices[0]) not in choices:
            raise BadValue(
                f"{name} is {values[name][:40]!r}, needs one of {', '.join(choices)}",
                field=f"/{name}",
            )
    square_mm = number(values, "square_mm")
    if "board" not in values or square_mm is None:
        missing = "board" if "board" not in values else "square_mm"
        raise BadValue(
            f"{missing} is missing; say what the board is: board=9x6 square_mm=25",
            field=f"/{missing}",
        )
    return CalibrationRequest(
        values["board"],
        square_mm,
        kind=values.get("kind") or None,
        layout=values.get("layout") or None,
        reference=values.get("reference") or None,
        world=values.get("world") or None,
        world_moment=values.get("world_moment") or None,
        lens=values.get("lens") or None,
        lenses=values.get("lenses") or None,
        fix=values.get("fix") or None,
        bend=values.get("bend") == "true",
    )


def _keep(service: Service, job_id: str, files: list[Upload], wanted: CalibrationRequest) -> None:
    """Footage on disk, looked at once: what cannot become a calibration is told at once."""
    folder = service.jobs.board.directory(job_id) / "footage"
    save_footage(files, folder, service.settings.limits)
    if wanted.layout is not None:
        quad_clips(folder, parse_layout(wanted.layout))
    else:
        clips_in(folder)
