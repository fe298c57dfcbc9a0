"""Whether the service lives, whether it would answer frames now, and its numbers."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from ..errors import NotReady
from ..state import ServiceDep

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers; says nothing about its workers."""
    return {"status": "live"}


@router.get("/health/ready")
async def ready(service: ServiceDep) -> dict[str, Any]:
    """A warmed-up worker would answer a frame set now; 503 says why not."""
    reasons = await service.problems()
    if reasons:
        raise NotReady("; ".join(reasons))
    depth = await service.queue.depth()
    # Workers of other processes are not known here, nor is their network.
    models = [worker.model for worker in service.workers if worker.model is not None]
    return {
        "status": "ready",
        "queue": {"tasks": depth.tasks, "limit": service.settings.queue.length},
        "workers": len(service.workers),
        "model": asdict(models[0]) if models else None,
        "version": version("quadglass"),
    }


@router.get("/metrics")
async def metrics(service: ServiceDep) -> Response:
    """Prometheus metrics."""
    depth = await service.queue.depth()
    service.metrics.queue_tasks.set(depth.tasks)
    service.metrics.queue_oldest.set(depth.oldest_s)
    service.metrics.workers_warm.set(sum(worker.problem() is None for worker in service.workers))
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
