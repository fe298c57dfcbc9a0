"""Long work: how far it is, told as it goes, and stopped."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from ..jobs import Job
from ..state import Service, ServiceDep
from ..video_jobs import KIND

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("/{job}")
async def get_job(job: str, service: ServiceDep) -> dict[str, Any]:
    """One job as it stands."""
    return job_to_json(service.jobs.board.job(job))


@router.get("/{job}/events", response_class=StreamingResponse)
async def get_events(job: str, service: ServiceDep) -> StreamingResponse:
    """Server-sent events: `progress` while it goes on, then `done`, `failed` or `cancelled`."""
    service.jobs.board.job(job)
    return StreamingResponse(
        _events(service, job),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.delete("/{job}")
async def cancel_job(job: str, service: ServiceDep) -> dict[str, Any]:
    """Asks a job to stop; it does at its next step. 409 when it is over already."""
    if service.jobs.board.job(job).kind == KIND:
        return job_to_json(service.videos.cancel(job))
    return job_to_json(service.jobs.cancel(job))


def job_to_json(job: Job) -> dict[str, Any]:
    """A job as it is told."""
    return {
        "id": job.id,
        "kind": job.kind,
        "rig": job.rig,
        "request": dict(job.request),
        "state": job.state,
        "created": job.created,
        "finished": job.finished,
        "progress": {
            "stage": job.stage,
            "done": job.progress_done,
            "total": job.progress_total,
        },
        "calibration": job.calibration,
        "problem": job.problem,
    }


async def _events(service: Service, job_id: str) -> AsyncIterator[str]:
    async for job in service.jobs.board.follow(job_id):
        name = job.state if job.over else "progress"
        yield f"event: {name}\ndata: {json.dumps(job_to_json(job))}\n\n"
