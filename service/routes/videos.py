"""Synchronized videos into a capture, as a job with progress."""

from __future__ import annotations

import shutil

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from calibration.errors import UnknownCamera

from ..errors import BadValue, NoViews
from ..forms import integer, number, require_multipart, uploads
from ..state import Service, ServiceDep
from ..uploads import Upload, save_footage
from ..video_jobs import VideoRequest, videos_in
from .bodies import pictures_body
from .jobs import job_to_json

router = APIRouter(prefix="/v1/captures", tags=["captures"])

_VALUES = {
    "rate_hz": "Frames a second, where the files do not say.",
    "start_ns": "Timestamp of the first frame; behind the capture's last one if absent.",
}
_BODY = pictures_body("A video; the field's name is the camera's.", _VALUES)
_MOST_FILES = 16


@router.post("/{capture}/videos", status_code=202, openapi_extra=_BODY)
async def post_videos(capture: str, request: Request, service: ServiceDep) -> JSONResponse:
    """One synchronized video for each camera; the people go into the capture as they are found."""
    live = await service.captures.get(capture)
    rig = service.store.calibrated_rig(live.take.record.calibration)
    service.videos.check_room(service.settings.store.video_jobs)
    require_multipart(request)
    async with request.form(max_files=_MOST_FILES, max_fields=len(_VALUES) + 1) as form:
        values = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        for name in values:
            if name not in _VALUES:
                raise BadValue(
                    f"field {name!r} is not known here; values are {', '.join(_VALUES)}, and "
                    "videos have to be sent as files (with a file name)",
                    field=f"/{name}",
                )
        rate_hz, start_ns = number(values, "rate_hz"), integer(values, "start_ns")
        if rate_hz is not None and rate_hz <= 0:
            raise BadValue(f"rate_hz is {rate_hz:g}, needs to be above 0", field="/rate_hz")
        files = [Upload(name, one.filename or "", one.file) for name, one in uploads(form)]
        if not files:
            raise NoViews(f"no video in the form; send one for each of {', '.join(rig.names)}")
        for one in files:
            if one.field not in rig.names:
                raise UnknownCamera(
                    f"the rig has no camera {one.field!r}; it has {', '.join(rig.names)}",
                    camera=one.field,
                    field=f"/{one.field}",
                )
        if start_ns is None:
            newest_ns = live.newest_ns
            start_ns = 0 if newest_ns is None else newest_ns + _after_ns(rate_hz)
        live.check_time(start_ns)
        job_id = service.jobs.board.new_id()
        try:
            await run_in_threadpool(_keep, service, job_id, files)
        except BaseException:
            shutil.rmtree(service.jobs.board.directory(job_id), ignore_errors=True)
            raise
    wanted = VideoRequest(capture, start_ns, rate_hz)
    job = service.videos.add(service, job_id, live.take.record.rig, wanted)
    return JSONResponse(
        job_to_json(job), status_code=202, headers={"Location": f"/v1/jobs/{job.id}"}
    )


def _keep(service: Service, job_id: str, files: list[Upload]) -> None:
    folder = service.jobs.board.directory(job_id) / "footage"
    save_footage(files, folder, service.settings.limits)
    videos_in(folder)


def _after_ns(rate_hz: float | None) -> int:
    """From the last frame of what is there to the first of the next video."""
    return round(1e9 / (rate_hz or 30.0))
