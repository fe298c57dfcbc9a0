"""What is printed is what is detected, at the size that was asked for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from calibration.board import detect, parse_board
from calibration.board_sheet import board_pdf, board_svg
from calibration.errors import BadBoard

DPI = 254  # a pixel is 0.1 mm, and edges are drawn on whole pixels
MM_PER_PX = 25.4 / DPI
SPECS = [
    ("9x6", 25.0),
    ("charuco:7x5:DICT_4X4_1000", 30.0),
    ("charuco:6x5:DICT_5X5_100:0.7:inverted", 30.0),
]


@pytest.mark.parametrize(("spec", "square_mm"), SPECS)
def test_the_printed_sheet_is_found_at_true_scale(
    spec: str, square_mm: float, tmp_path: Path
) -> None:
    if shutil.which("pdftoppm") is None:
        pytest.skip("no pdftoppm on this machine: apt-get install poppler-utils")
    board = parse_board(spec, square_mm)
    (tmp_path / "board.pdf").write_bytes(board_pdf(board))
    subprocess.run(
        ["pdftoppm", "-r", str(DPI), "-png", "-singlefile", "board.pdf", "board"],
        cwd=tmp_path,
        check=True,
    )
    found = detect(np.asarray(cv2.imread(str(tmp_path / "board.png")), np.uint8), board)
    assert found is not None
    assert not found.mirrored
    assert len(found.ids) == board.inner_corners[0] * board.inner_corners[1]
    # Not only the mean square: any corner to any other, as the board's points say.
    truth_mm = board.points_board[found.ids, :2] * 1000
    seen_mm = found.corners_px * MM_PER_PX
    shift = (seen_mm - truth_mm).mean(axis=0)
    np.testing.assert_allclose(seen_mm - shift, truth_mm, atol=0.1)


def test_a_nine_by_six_of_25_mm_fits_on_a4() -> None:
    width, height = _size_mm(board_svg(parse_board("9x6", 25.0)))
    assert (width, height) == (297.0, 210.0)


def test_a_board_beyond_every_paper_gets_a_page_of_its_own() -> None:
    width, height = _size_mm(board_svg(parse_board("11x8", 100.0)))
    assert width >= 12 * 100 + 2 * 100
    assert height >= 9 * 100 + 2 * 100


def test_a_sheet_larger_than_a_page_can_be_is_refused() -> None:
    with pytest.raises(BadBoard, match="smaller square_mm"):
        board_pdf(parse_board("99x98", 100.0))


def test_the_svg_draws_what_the_pdf_draws() -> None:
    board = parse_board("9x6", 25.0)
    root = ElementTree.fromstring(board_svg(board))
    path = root.find("{http://www.w3.org/2000/svg}path")
    assert path is not None
    assert path.get("d", "").count("M") == 35  # half of 10 x 7 squares


def _size_mm(svg: str) -> tuple[float, float]:
    root = ElementTree.fromstring(svg)
    return float(root.get("width", "")[:-2]), float(root.get("height", "")[:-2])
