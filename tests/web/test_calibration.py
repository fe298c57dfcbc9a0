"""A calibration from real board pictures, all of it by hand in the browser."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from .canvas import look
from .conftest import Open

BOARDS = (
    Path(__file__).resolve().parents[2].parent
    / "shared"
    / "data"
    / "tut-checkerboard-4cam"
    / "images"
)
CAMERAS = ("02", "07", "11", "15")
CALIBRATION_MS = 120_000  # finding 20 boards of 476 corners on a busy machine


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of four cameras, pictures of one moment with one name."""
    if not BOARDS.is_dir():
        pytest.skip(f"the board pictures are missing: {BOARDS}")
    root = tmp_path_factory.mktemp("footage")
    for path in BOARDS.glob("Position*_Camera*.jpg"):
        match = re.fullmatch(r"Position(\d+)_Camera(\d+)", path.stem)
        assert match is not None
        folder = root / f"cam{match[2]}"
        folder.mkdir(exist_ok=True)
        (folder / f"{match[1]}.jpg").write_bytes(path.read_bytes())
    return root


def test_from_board_pictures_to_a_rig(
    open_page: Open, site: httpx.Client, footage: Path, shots: Path
) -> None:
    page = open_page("/rigs")
    page.get_by_label("Name of the rig").last.fill("line")
    page.get_by_role("button", name="Go on to the board").click()
    expect(page.get_by_role("heading", name="Calibrate", level=1)).to_be_visible()
    page.get_by_label("Inner corners across").fill("28")
    page.get_by_label("Inner corners down").fill("18")
    expect(page.locator(".warning")).to_contain_text("look the same turned by half")
    page.get_by_label("Inner corners down").fill("17")
    page.get_by_label("Square, mm").fill("20")
    page.locator("input[webkitdirectory]").set_input_files(footage)
    expect(page.locator(".camera-files li")).to_have_count(len(CAMERAS))
    page.screenshot(path=shots / "calibrate.png", full_page=True)
    page.get_by_role("button", name="Calibrate", exact=True).click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("heading", name="Verdict")).to_be_visible(timeout=CALIBRATION_MS)
    page.wait_for_timeout(300)
    page.screenshot(path=shots / "report.png", full_page=True)
    assert look(page, "canvas.scene").colours > 50
    page.get_by_role("link", name="In force: see the rig").click()
    expect(
        page.get_by_role("region", name="Cameras", exact=True).locator("tbody tr")
    ).to_have_count(4)
    assert site.get("/v1/rigs/line").json()["rms_px"] < 0.3  # the data's README


def test_a_board_nobody_sees_is_told(open_page: Open, site: httpx.Client, footage: Path) -> None:
    site.post("/v1/rigs", json={"name": "wrong", "kind": "quad"}).raise_for_status()
    page = open_page("/rigs/wrong/calibrate")
    page.get_by_label("Inner corners across").fill("5")
    page.get_by_label("Inner corners down").fill("4")
    page.locator("input[webkitdirectory]").set_input_files(footage)
    page.get_by_role("button", name="Calibrate", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Not calibrated", timeout=CALIBRATION_MS)
    expect(page.get_by_role("link", name="Try with other footage")).to_be_visible()
