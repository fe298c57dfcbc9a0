"""Rigs: made, listed, and given a calibration in any format that can be read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from calibration.camera import Camera
from calibration.formats import read_any
from calibration.rig import Rig, Verdict

from ..errors import Malformed, NotCalibrated
from ..names import NAME_PATTERN, checked_name
from ..state import Service, ServiceDep
from ..store import RigRecord

router = APIRouter(prefix="/v1/rigs", tags=["rigs"])
YAML = "application/yaml"


class NewRig(BaseModel):
    """A rig to be calibrated later."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=f"^{NAME_PATTERN}$", max_length=64)
    kind: Literal["quad", "stereo", "multi"] = "multi"


@router.post("", status_code=201)
async def create_rig(new: NewRig, service: ServiceDep) -> JSONResponse:
    """A new rig without a calibration."""
    record = service.store.create_rig(new.name, new.kind)
    return _created(record, _summary(service, record))


@router.get("")
async def list_rigs(service: ServiceDep) -> dict[str, Any]:
    """All rigs."""
    return {"rigs": [_summary(service, record) for record in service.store.rigs()]}


@router.get("/{rig}")
async def get_rig(rig: str, service: ServiceDep) -> dict[str, Any]:
    """One rig with its cameras as they are calibrated, and all its calibrations."""
    record = service.store.rig(rig)
    result = _summary(service, record)
    if record.calibration is not None:
        result |= rig_to_json(service.store.calibrated_rig(record.calibration))
    result["calibrations"] = [
        {"id": one.id, "created": one.created, "origin": one.origin, "grade": one.grade}
        for one in service.store.calibrations(rig)
    ]
    result["jobs"] = [
        {"id": job.id, "state": job.state, "created": job.created}
        for job in service.jobs.board.jobs(rig)
    ]
    return result


@router.get("/{rig}/rig.yaml", response_class=PlainTextResponse)
async def get_rig_file(rig: str, service: ServiceDep) -> PlainTextResponse:
    """The active calibration as a rig file."""
    record = service.store.rig(rig)
    if record.calibration is None:
        raise NotCalibrated(f"rig {rig!r} has no calibration yet; PUT one here")
    return PlainTextResponse(service.store.rig_yaml(record.calibration), media_type=YAML)


@router.put(
    "/{rig}/rig.yaml",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                YAML: {"schema": {"type": "string"}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def put_rig_file(rig: str, request: Request, service: ServiceDep) -> JSONResponse:
    """A calibration of your own, active at once; makes the rig if it is new.

    Takes every format that can be read, decided by content: our rig file, Qualisys `.qca.txt`,
    OpenCV FileStorage and others; EasyMocap's intri.yml and extri.yml as one zip.
    """
    checked_name("rig", rig)
    data = await request.body()
    if not data.strip():
        raise Malformed("the body is empty; send the rig file itself as the body")
    cameras = await run_in_threadpool(read_any, data, name=rig)
    for name in cameras.names:
        checked_name("camera", name)
    made = not service.store.has_rig(rig)
    if made:
        service.store.create_rig(rig, cameras.kind)
    calibration = service.store.add_calibration(rig, cameras, {"origin": "imported"}, "imported")
    record = service.store.activate(calibration.id)
    result = _summary(service, record) | rig_to_json(cameras)
    return _created(record, result) if made else JSONResponse(result)


def rig_to_json(rig: Rig) -> dict[str, Any]:
    """Where the cameras are and what they see, and how good the calibration is."""
    quality = rig.quality
    return {
        "reference": rig.reference,
        "world": rig.world,
        "units": "m",
        "cameras": [_camera_to_json(camera) for camera in rig.cameras],
        "rms_px": quality.rms_px if quality else None,
        "quality": asdict(quality) if quality else None,
        "target": asdict(rig.target) if rig.target else None,
        "verdict": verdict_to_json(rig.verdict),
    }


def verdict_to_json(verdict: Verdict | None) -> dict[str, Any] | None:
    """The calibration in plain words; None where nobody judged it."""
    if verdict is None:
        return None
    return {
        "grade": verdict.grade,
        "findings": [
            {"code": one.code, "camera": one.camera, "message": one.message, "fix": one.fix}
            for one in verdict.findings
        ],
    }


def _camera_to_json(camera: Camera) -> dict[str, Any]:
    return {
        "name": camera.name,
        "size_px": list(camera.size_px),
        "frame_size_px": list(camera.frame_size_px),
        "source": {"scale": camera.source.scale, "offset_px": list(camera.source.offset_px)},
        "model": camera.model,
        "K": camera.K.tolist(),
        "distortion": camera.dist.tolist(),
        "R": camera.cam_from_world[:3, :3].tolist(),
        "t": camera.cam_from_world[:3, 3].tolist(),
        "center": camera.center_world.tolist(),
        "rms_px": camera.quality.rms_px if camera.quality else None,
        "quality": asdict(camera.quality) if camera.quality else None,
        "sigma": asdict(camera.sigma) if camera.sigma else None,
    }


def _summary(service: Service, record: RigRecord) -> dict[str, Any]:
    names: tuple[str, ...] = ()
    grade = None
    if record.calibration is not None:
        calibration = service.store.calibration(record.calibration)
        names, grade = calibration.cameras, calibration.grade
    return {
        "name": record.name,
        "kind": record.kind,
        "created": record.created,
        "calibration": record.calibration,
        "camera_names": list(names),
        "grade": grade,
    }


def _created(record: RigRecord, result: dict[str, Any]) -> JSONResponse:
    return JSONResponse(result, status_code=201, headers={"Location": f"/v1/rigs/{record.name}"})
