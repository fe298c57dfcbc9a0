"""Captures: one recording each, its frames with identities, its pictures and its exports."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from capture.export import FORMATS, export_take
from capture.result import frame_from_json
from capture.smooth import SmoothSettings, smooth_take
from capture.timeline import rate_of

from ..captures import LiveCapture
from ..errors import BadValue, Conflict, Unusable
from ..names import NAME_PATTERN
from ..state import Service, ServiceDep
from ..store import now
from ..takes import Take, TakeRecord

router = APIRouter(prefix="/v1/captures", tags=["captures"])
_MOST_FRAMES = 1000  # in one response


class NewCapture(BaseModel):
    """A recording to begin."""

    model_config = ConfigDict(extra="forbid")
    rig: str = Field(pattern=f"^{NAME_PATTERN}$", max_length=64)
    name: str | None = Field(default=None, pattern=f"^{NAME_PATTERN}$", max_length=64)
    regions: bool = False  # look closer where people are expected (docs/capture.md)


class CaptureName(BaseModel):
    """Another name for a capture."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "walk-2"}]})
    name: str = Field(pattern=f"^{NAME_PATTERN}$", max_length=64)


@router.post("", status_code=201)
async def create_capture(new: NewCapture, service: ServiceDep) -> JSONResponse:
    """A new capture of a rig; it keeps the calibration that is active now."""
    calibration, _ = service.store.active_rig(new.rig)
    name = new.name or f"take-{secrets.token_hex(4)}"
    capture = await service.captures.create(
        TakeRecord(name, new.rig, calibration, now(), new.regions)
    )
    return JSONResponse(
        _summary(capture), status_code=201, headers={"Location": f"/v1/captures/{name}"}
    )


@router.get("")
async def list_captures(service: ServiceDep) -> dict[str, Any]:
    """All captures, newest first."""
    found = [_summary(capture) for capture in await service.captures.all()]
    return {"captures": found[::-1]}


@router.get("/{capture}")
async def get_capture(capture: str, service: ServiceDep) -> dict[str, Any]:
    """One capture: its rig, how many frames, between which times, and how the cameras fare."""
    live = await service.captures.get(capture)
    rig = service.store.calibrated_rig(live.take.record.calibration)
    health = await run_in_threadpool(lambda: live.health().to_json())
    return {
        **_summary(live),
        "camera_names": list(rig.names),
        "formats": sorted(FORMATS),
        "health": health,
    }


@router.patch("/{capture}")
async def rename_capture(capture: str, wanted: CaptureName, service: ServiceDep) -> dict[str, Any]:
    """Renames it in one step; 409 while it is recorded or the name is taken."""
    if wanted.name == capture:
        return _summary(await service.captures.get(capture))
    _check_no_videos(service, capture)
    return _summary(await service.captures.rename(capture, wanted.name))


@router.delete("/{capture}", status_code=204, response_class=Response)
async def delete_capture(capture: str, service: ServiceDep) -> Response:
    """Removes results and pictures for good; 409 while it is recorded."""
    _check_no_videos(service, capture)
    await service.captures.delete(capture)
    return Response(status_code=204)


@router.get("/{capture}/frames")
async def get_frames(
    capture: str,
    service: ServiceDep,
    start: Annotated[int, Query(ge=0, alias="from", description="The first frame's place.")] = 0,
    to: Annotated[int | None, Query(ge=0, description="The place to end before.")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_FRAMES)] = 200,
) -> dict[str, Any]:
    """Results in order, a page of them; `next` is the place to go on from, null at the end."""
    take = (await service.captures.get(capture)).take
    stop = len(take) if to is None else min(to, len(take))
    frames = await run_in_threadpool(lambda: list(take.frames(start, min(start + limit, stop))))
    after = start + len(frames)
    return {"frames": frames, "total": len(take), "next": after if after < stop else None}


@router.get("/{capture}/frames/{sequence}/{camera}.jpg", response_class=FileResponse)
async def get_picture(
    capture: str, sequence: int, camera: str, service: ServiceDep
) -> FileResponse:
    """The reduced picture that was kept of one camera at one frame."""
    path = (await service.captures.get(capture)).take.picture(sequence, camera)
    # It never changes; only a key keeps it from others, so no shared cache may hold it.
    headers = {"Cache-Control": "private, max-age=86400, immutable"}
    return FileResponse(path, media_type="image/jpeg", headers=headers)


@router.get("/{capture}/export", response_class=Response)
async def export(
    capture: str,
    service: ServiceDep,
    kind: Annotated[str, Query(alias="format", description="trc, csv, json, …")],
    cutoff_hz: Annotated[
        float | None, Query(gt=0, description="Low-pass every joint, 6 for walking; else raw.")
    ] = None,
) -> Response:
    """The whole capture as a file of another program, as measured or smoothed without delay."""
    if kind not in FORMATS:
        raise BadValue(
            f"format {kind[:40]!r} is not written here; use one of {', '.join(sorted(FORMATS))}",
            field="/format",
        )
    take = (await service.captures.get(capture)).take
    if not len(take):
        raise Unusable(f"capture {capture!r} has no frames yet; post some, then export")
    data = await run_in_threadpool(_export, service, take, kind, cutoff_hz)
    _, media_type, extension = FORMATS[kind]
    name = f"{capture}.{extension.lstrip('.')}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=media_type, headers=headers)


def _export(service: Service, take: Take, kind: str, cutoff_hz: float | None) -> bytes:
    frames = [frame_from_json(frame) for frame in take.frames()]
    if cutoff_hz is not None and len(frames) > 1:
        frames = smooth_take(frames, rate_of(frames), SmoothSettings(cutoff_hz=cutoff_hz))
    rig = service.store.calibrated_rig(take.record.calibration)
    return export_take(frames, rig, kind)


def _check_no_videos(service: Service, capture: str) -> None:
    """Refuses to move a capture that a job of videos will go on to write into."""
    for job in service.videos.board.jobs():
        if not job.over and job.request.get("capture") == capture:
            raise Conflict(
                f"job {job.id!r} puts videos into capture {capture!r}; wait for it, or stop it "
                f"with DELETE /v1/jobs/{job.id}",
                field="/capture",
            )


def _summary(capture: LiveCapture) -> dict[str, Any]:
    take = capture.take
    record = take.record
    first_ns, last_ns = capture.span_ns()
    return {
        "name": record.name,
        "rig": record.rig,
        "calibration": record.calibration,
        "created": record.created,
        "regions": record.regions,
        "frames": len(take),
        "first_timestamp_ns": first_ns,
        "last_timestamp_ns": last_ns,
        "seconds": None if first_ns is None or last_ns is None else (last_ns - first_ns) / 1e9,
    }
