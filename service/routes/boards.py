"""Boards to print, at true scale."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from calibration.board import parse_board
from calibration.board_sheet import board_pdf, board_svg

router = APIRouter(prefix="/v1/boards", tags=["boards"])
Square = Annotated[float, Query(description="Side of a square in millimetres.", examples=[25.0])]


@router.get("/{spec}.pdf", response_class=Response)
async def get_pdf(spec: str, square_mm: Square) -> Response:
    """A board as a PDF page: `9x6` inner corners, or `charuco:7x5:DICT_4X4_1000`."""
    pdf = await run_in_threadpool(board_pdf, parse_board(spec, square_mm))
    return Response(pdf, media_type="application/pdf", headers=_named(spec, square_mm, "pdf"))


@router.get("/{spec}.svg", response_class=Response)
async def get_svg(spec: str, square_mm: Square) -> Response:
    """The same sheet as SVG."""
    svg = board_svg(parse_board(spec, square_mm))
    return Response(svg, media_type="image/svg+xml", headers=_named(spec, square_mm, "svg"))


def _named(spec: str, square_mm: float, suffix: str) -> dict[str, str]:
    # What parse_board let through is plain ASCII but for the sign of multiplication.
    name = spec.strip().replace("×", "x").replace(":", "-").replace(" ", "")
    return {"Content-Disposition": f'inline; filename="board-{name}-{square_mm:g}mm.{suffix}"'}
