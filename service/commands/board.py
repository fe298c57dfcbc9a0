"""`quadglass board`: a board to print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import BadValue
from .screen import remark


def board(
    spec: Annotated[
        str, typer.Argument(metavar="BOARD", help="9x6, or charuco:7x5:DICT_4X4_1000.")
    ],
    square_mm: Annotated[float, typer.Option(help="Side of a square.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="board.pdf or board.svg.")],
) -> None:
    """Write a chessboard or ChArUco board to print at true scale."""
    from calibration.board import check_board_for_rig, parse_board
    from calibration.board_sheet import board_pdf, board_svg

    target = parse_board(spec, square_mm)
    check_board_for_rig(target)
    suffix = out.suffix.lower()
    if suffix not in (".pdf", ".svg"):
        raise BadValue(f"{out.name!r} is neither .pdf nor .svg; name the file board.pdf")
    data = board_pdf(target) if suffix == ".pdf" else board_svg(target).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(data)
    remark(f"-> {out}; print it at 100 %, then measure a square and the 100 mm line")
