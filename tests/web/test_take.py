"""A take in a real browser: four views and the 3D scene in step, the clock, the files."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from .browser import Watch
from .canvas import look
from .conftest import Open
from .film import FRAMES, PEOPLE, RIG

SLIDER = ".transport input[type=range]"
VIEWS = [f".view[data-camera={name}] canvas" for name in RIG.names]


def test_the_take_is_listed(open_page: Open) -> None:
    page = open_page("/takes")
    card = page.locator(".card.link", has=page.get_by_role("heading", name="walk"))
    expect(card).to_contain_text(f"{FRAMES} frames")
    card.click()
    expect(page.get_by_role("heading", name="walk", level=1)).to_be_visible()


def test_a_take_is_renamed_and_deleted(
    open_page: Open, site: httpx.Client, watch: Watch, shots: Path
) -> None:
    site.post("/v1/captures", json={"rig": "hall", "name": "draft"}).raise_for_status()
    page = open_page("/takes/draft")
    page.get_by_role("button", name="Rename…").click()
    page.get_by_label("New name").fill("walk")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("there is a capture 'walk' already")
    page.get_by_label("New name").fill("final")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("heading", name="final", level=1)).to_be_visible()
    page.get_by_role("button", name="Delete…").click()
    page.keyboard.press("Enter")  # the harmless button has the focus
    assert site.get("/v1/captures/final").status_code == 200
    page.get_by_role("button", name="Delete…").click()
    page.screenshot(path=shots / "delete.png")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("heading", name="Takes", level=1)).to_be_visible()
    assert site.get("/v1/captures/final").status_code == 404
    assert [wrong for wrong in watch.wrong if "409" not in wrong] == []
    watch.wrong.clear()


@pytest.mark.parametrize(
    ("scheme", "width", "height"),
    [("dark", 1440, 1000), ("light", 1440, 1000), ("dark", 400, 860), ("light", 820, 1100)],
)
def test_four_views_and_a_scene_are_painted(
    open_page: Open, shots: Path, scheme: str, width: int, height: int
) -> None:
    page = at_take(open_page, scheme=scheme, width=width, height=height)
    scrub(page, FRAMES // 2)
    for canvas in [*VIEWS, "canvas.scene"]:
        # Shades of picture, limbs and floor: a blank or failed canvas has one or two.
        assert look(page, canvas).colours > 50, canvas
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "sideways scroll"
    page.screenshot(path=shots / f"take-{scheme}-{width}.png", full_page=True)


def test_scrubbing_moves_views_and_scene_together(open_page: Open) -> None:
    page = at_take(open_page)
    before = {
        canvas: look(page, canvas).fingerprint
        for canvas in [*VIEWS, "canvas.scene", ".timeline-head"]
    }
    scrub(page, FRAMES - 1)
    for canvas, pixels in before.items():
        assert look(page, canvas).fingerprint != pixels, f"{canvas} did not change"


def test_the_scene_turns_by_drag_and_by_keys(open_page: Open) -> None:
    page = at_take(open_page)
    scene = page.locator("canvas.scene")
    first = look(page, "canvas.scene").fingerprint
    box = scene.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y + 20, steps=4)
    page.mouse.up()
    page.wait_for_timeout(100)
    dragged = look(page, "canvas.scene").fingerprint
    assert dragged != first
    scene.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(100)
    assert look(page, "canvas.scene").fingerprint != dragged


def test_playing_goes_on_and_stops(open_page: Open) -> None:
    page = at_take(open_page)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(SLIDER)).not_to_have_value("0")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(300)
    shown = page.locator(SLIDER).input_value()
    page.wait_for_timeout(300)
    assert page.locator(SLIDER).input_value() == shown


def test_keys_step_through_the_take(open_page: Open) -> None:
    page = at_take(open_page)
    page.locator("main").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(SLIDER)).to_have_value("2")
    expect(page.locator("output.time")).to_contain_text("0:00.07")


def test_numbers_of_the_frame(open_page: Open) -> None:
    page = at_take(open_page)
    rows = page.get_by_role("region", name="People in this frame").locator("tbody tr")
    expect(rows).to_have_count(PEOPLE.shape[1])
    expect(rows.first).to_contain_text("100 %")
    page.locator("summary", has_text="Joints of person").first.click()
    scrub(page, 10)
    # Scrubbing replaces the numbers but must not close what the reader opened.
    nose = page.locator("details[open] tr", has_text="nose").first
    expect(nose).to_be_visible()


def test_every_export_downloads(open_page: Open, site: httpx.Client) -> None:
    page = at_take(open_page)
    for name in site.get("/v1/captures/walk").json()["formats"]:
        with page.expect_download() as found:
            page.get_by_role("link", name=name.upper(), exact=True).click()
        assert found.value.suggested_filename.startswith("walk.")
        assert found.value.path().stat().st_size > 1000


def test_the_last_of_quick_scrubs_is_shown(open_page: Open) -> None:
    """Pictures may arrive in any order; what stays is the frame asked for last."""
    page = at_take(open_page)
    page.evaluate(
        f"""() => {{
            const slider = document.querySelector("{SLIDER}");
            for (const value of [40, 3, 31, 7, 22]) {{
                slider.value = value;
                slider.dispatchEvent(new Event("input", {{bubbles: true}}));
            }}
        }}"""
    )
    expect(page.locator("output.time")).to_contain_text("· 22")


def test_a_take_without_people_or_pictures_is_told(open_page: Open, watch: Watch) -> None:
    page = open_page("/takes/nobody")
    expect(page.get_by_text("No camera sees anybody")).to_be_visible()
    expect(page.locator(".view[data-camera=cam3]")).to_contain_text("no picture")
    page.evaluate("location.hash = '#/takes/blank'")
    expect(page.get_by_role("heading", name="No frame yet")).to_be_visible()
    # The view that was never posted has no picture to load, which the browser logs.
    assert [wrong for wrong in watch.wrong if "404" not in wrong] == []
    watch.wrong.clear()


@pytest.mark.bench
def test_rendered_frames_per_second(open_page: Open) -> None:
    """Frames of the scene painted in a second of turning: measured, nothing is asked of it."""
    page = at_take(open_page)
    start = time.perf_counter()
    frames = page.evaluate(
        """() => new Promise((done) => {
            const canvas = document.querySelector("canvas.scene");
            let count = 0;
            const until = performance.now() + 2000;
            const step = (now) => {
                count += 1;
                canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"}));
                if (now < until) requestAnimationFrame(step); else done(count / 2);
            };
            requestAnimationFrame(step);
        })"""
    )
    print(json.dumps({"rendered_fps": frames, "seconds": time.perf_counter() - start}))  # noqa: T201


def at_take(open_page: Open, **window: object) -> Page:
    """The take's page, its first frame shown."""
    page = open_page("/takes/walk", **window)
    expect(page.locator("output.time")).to_contain_text("· 0")
    page.wait_for_selector("canvas.scene[aria-label]")
    page.wait_for_timeout(200)
    return page


def scrub(page: Page, index: int) -> None:
    """Puts the slider on a frame and waits until that frame is shown."""
    page.locator(SLIDER).fill(str(index))
    expect(page.locator("canvas.scene")).to_have_attribute(
        "aria-label",
        f"3D scene, frame {index}: 2 people, 4 cameras. Arrow keys turn, "
        "plus and minus zoom, 0 looks from the start.",
    )
    page.wait_for_timeout(150)
