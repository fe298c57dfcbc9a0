"""Frame sets of a rig: pictures of one moment in, people in 2D and 3D out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse

from ..forms import read_form
from ..frame_sets import accept, finish, posted_in
from ..once import fingerprint_of
from ..state import Service, ServiceDep
from ..take_up import kept_before
from .bodies import pictures_body

router = APIRouter(prefix="/v1", tags=["frames"])

_MOST_VIEWS = 16
_BODY = pictures_body(
    "An encoded picture (JPEG, PNG, WebP, BMP or TIFF); the field's name is the camera's.",
    {
        "timestamp_ns": "When the pictures were taken, nanoseconds; the time of arrival if absent.",
        "capture": "The capture that the result goes into; it gives people their identities.",
    },
)


@router.post("/rigs/{rig}/frames", openapi_extra=_BODY, response_model=None)
async def post_frames(
    rig: str,
    request: Request,
    service: ServiceDep,
    prefer: Annotated[str, Header(description="`respond-async` answers 202 and a ticket.")] = "",
    idempotency_key: Annotated[str, Header(max_length=200)] = "",
) -> dict[str, Any] | JSONResponse:
    """People in one frame set. Views may be missing; each picture's field is its camera's name."""
    service.store.rig(rig)  # an unknown rig is told before the pictures are read
    with service.admitted():
        return await _answer(rig, request, service, prefer, idempotency_key)


async def _answer(
    rig: str, request: Request, service: Service, prefer: str, idempotency_key: str
) -> dict[str, Any] | JSONResponse:
    form = await read_form(request, max_files=_MOST_VIEWS)
    posted = posted_in(form)
    if idempotency_key:
        fingerprint = fingerprint_of(form.values, form.files)

        async def work() -> dict[str, Any]:
            return await finish(service, await accept(service, rig, posted))

        return await service.once.do(
            f"{rig}/{idempotency_key}", fingerprint, work, partial(kept_before, service, posted)
        )
    accepted = await accept(service, rig, posted)
    if "respond-async" in prefer:
        # If it has to be done again after a restart, it is of the same moment.
        posted = replace(posted, timestamp_ns=accepted.timestamp_ns)
        ticket = await service.tickets.issue(rig, posted, finish(service, accepted))
        address = f"/v1/tickets/{ticket}"
        return JSONResponse(
            {"ticket": ticket, "state": "pending", "result": address},
            status_code=202,
            headers={"Location": address, "Preference-Applied": "respond-async"},
        )
    return await finish(service, accepted)


@router.get("/tickets/{ticket}", response_model=None)
async def get_ticket(ticket: str, service: ServiceDep) -> dict[str, Any] | JSONResponse:
    """The result of a frame set posted with `Prefer: respond-async`; 202 until it is there."""
    result = await service.tickets.result(ticket)
    if result is None:
        return JSONResponse({"ticket": ticket, "state": "pending"}, status_code=202)
    return result
