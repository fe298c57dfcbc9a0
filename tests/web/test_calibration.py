"""A calibration from real board pictures, all of it by hand in the browser."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import httpx
import numpy as np
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


@pytest.fixture(scope="package")
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


def test_a_board_nobody_sees_is_told(open_page: Open, site: httpx.Client, tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        for moment in range(3):
            cv2.imwrite(str(tmp_path / name / f"{moment}.png"), np.full((240, 320), 90, np.uint8))
    site.post("/v1/rigs", json={"name": "wrong", "kind": "quad"}).raise_for_status()
    page = open_page("/rigs/wrong/calibrate")
    page.get_by_label("Inner corners across").fill("5")
    page.get_by_label("Inner corners down").fill("4")
    page.locator("input[webkitdirectory]").set_input_files(tmp_path)
    page.get_by_role("button", name="Calibrate", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Not calibrated", timeout=CALIBRATION_MS)
    expect(page.get_by_role("link", name="Try with other footage")).to_be_visible()


def test_four_in_one_pictures_are_cut_apart(
    open_page: Open, site: httpx.Client, footage: Path, tmp_path: Path
) -> None:
    """The same boards as one picture of four, laid out 2 x 2."""
    site.post("/v1/rigs", json={"name": "cut", "kind": "quad"}).raise_for_status()
    for moment in sorted(path.name for path in (footage / "cam02").iterdir()):
        views = [cv2.imread(str(footage / f"cam{name}" / moment)) for name in CAMERAS]
        quad = np.vstack([np.hstack(views[:2]), np.hstack(views[2:])])
        cv2.imwrite(str(tmp_path / moment), quad, [cv2.IMWRITE_JPEG_QUALITY, 92])
    page = open_page("/rigs/cut/calibrate", scheme="light")
    page.get_by_label("Inner corners across").fill("28")
    page.get_by_label("Inner corners down").fill("17")
    page.get_by_label("Square, mm").fill("20")
    page.get_by_label("four in one picture").check()
    page.locator("label.drop input").set_input_files(sorted(tmp_path.iterdir()))
    page.get_by_role("button", name="Calibrate", exact=True).click()
    expect(page.get_by_role("heading", name="Verdict")).to_be_visible(timeout=CALIBRATION_MS)
    assert len(site.get("/v1/rigs/cut").json()["cameras"]) == len(CAMERAS)
