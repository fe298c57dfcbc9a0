"""One picture, no rig: people in 2D."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from capture.people import Frame
from capture.result import frame_to_json

from ..errors import NoViews, Unusable
from ..forms import read_form
from ..state import Service, ServiceDep
from ..task import Result
from .bodies import pictures_body

router = APIRouter(prefix="/v1", tags=["frames"])
_FIELD = "image"


@router.post("/images", openapi_extra=pictures_body({_FIELD: "The encoded picture."}))
async def post_image(request: Request, service: ServiceDep) -> dict[str, Any]:
    """People in one picture. The form field is `image`."""
    with service.admitted():
        return await _answer(request, service)


async def _answer(request: Request, service: Service) -> dict[str, Any]:
    form = await read_form(request, max_files=1, max_values=0)
    if not form.files:
        raise NoViews(f"no picture in the form; send it as the file {_FIELD!r}", field=f"/{_FIELD}")
    if set(form.files) != {_FIELD}:
        (name,) = form.files
        raise Unusable(
            f"field {name!r} is not known here; the picture is {_FIELD!r}", field=f"/{name}"
        )
    return _people(await service.result(await service.post(form.files, None)))


def _people(result: Result) -> dict[str, Any]:
    """People as in a frame's `single_view`, with what made them."""
    frame = frame_to_json(
        Frame(
            rig="",
            calibration="",
            capture="",
            sequence=0,
            timestamp_ns=0,
            skeleton=result.model.skeleton,
            model={"name": result.model.name, "sha256": result.model.sha256},
            people=(),
            single_view=result.seen.single_view,
            timings_ms=result.seen.timings_ms,
        )
    )
    return {
        "size_px": list(result.seen.sizes_px[_FIELD]),
        "skeleton": frame["skeleton"],
        "model": frame["model"],
        "people": frame["single_view"].get(_FIELD, []),
        "timings_ms": frame["timings_ms"],
    }
