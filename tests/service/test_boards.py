"""Boards to print over HTTP."""

from __future__ import annotations

import httpx


def test_a_board_comes_as_pdf_and_svg(client: httpx.Client) -> None:
    pdf = client.get("/v1/boards/9x6.pdf", params={"square_mm": 25})
    assert pdf.status_code == 200
    assert pdf.headers["content-type"] == "application/pdf"
    assert 'filename="board-9x6-25mm.pdf"' in pdf.headers["content-disposition"]
    assert pdf.content.startswith(b"%PDF-")
    svg = client.get("/v1/boards/charuco:7x5:DICT_4X4_50.svg", params={"square_mm": 30})
    assert svg.headers["content-type"] == "image/svg+xml"
    assert svg.text.startswith("<svg")


def test_a_board_that_makes_no_sense_says_what_to_write(client: httpx.Client) -> None:
    refused = client.get("/v1/boards/nine.pdf", params={"square_mm": 25})
    assert refused.status_code == 422
    assert "9x6" in refused.json()["detail"]
    assert client.get("/v1/boards/9x6.pdf").status_code == 422
    assert client.get("/v1/boards/9x6.pdf", params={"square_mm": "nan"}).status_code == 422
