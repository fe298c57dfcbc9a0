"""The page in a real browser: rigs, a photo, the system, errors."""

from __future__ import annotations

from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from .browser import Watch
from .canvas import look
from .conftest import Open
from .film import FRAMES, RIG, RIG_YAML, jpeg, picture

ID_0_DARK = (0x4F, 0xD1, 0xC5)  # --id-0 of the dark scheme


def test_rigs_are_listed_with_their_state(open_page: Open, shots: Path) -> None:
    page = open_page("/rigs")
    hall = page.locator(".card.link", has=page.get_by_role("heading", name="hall"))
    expect(hall).to_contain_text("imported")
    expect(hall).to_contain_text("4 cameras")
    bare = page.locator(".card.link", has=page.get_by_role("heading", name="bare"))
    expect(bare).to_contain_text("not calibrated")
    page.screenshot(path=shots / "rigs.png", full_page=True)


def test_a_rig_shows_its_cameras(open_page: Open, shots: Path) -> None:
    page = open_page("/rigs/hall", scheme="light")
    table = page.get_by_role("region", name="Cameras", exact=True)
    expect(table.locator("tbody tr")).to_have_count(4)
    # 2 atan(640 / (2 * 430)) = 73.3 degrees
    expect(table.locator("tbody tr").first).to_contain_text("73° × 45°")
    distances = page.get_by_role("region", name="Distances between cameras")
    # Opposite cameras of a ring of radius 4.6 m.
    expect(distances.locator("tr", has_text="cam0 – cam2")).to_contain_text("9.200")
    page.wait_for_timeout(300)
    assert look(page, "canvas.scene").colours > 50
    page.screenshot(path=shots / "rig-light.png", full_page=True)


def test_a_dropped_rig_file_becomes_a_rig(open_page: Open, site: httpx.Client) -> None:
    page = open_page("/rigs")
    page.set_input_files(
        ".card input[type=file]", {"name": "loft.yaml", "mimeType": "text/yaml", "buffer": RIG_YAML}
    )
    expect(page.get_by_role("heading", name="loft", level=1)).to_be_visible()
    assert site.get("/v1/rigs/loft").json()["calibration"] is not None


def test_a_refusal_is_told_in_full(open_page: Open, watch: Watch) -> None:
    page = open_page("/rigs")
    broken = RIG_YAML.replace(b"pinhole", b"pinhole\n    surprise: 1", 1)
    page.set_input_files(
        ".card input[type=file]", {"name": "loft.yaml", "mimeType": "text/yaml", "buffer": broken}
    )
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This cannot be used")
    expect(alert).to_contain_text("surprise")
    # The browser itself logs every refused request; nothing else may be wrong.
    assert len(watch.wrong) == 1
    assert "422" in watch.wrong[0]
    watch.wrong.clear()


def test_a_dropped_photo_gets_its_skeletons(open_page: Open, shots: Path) -> None:
    page = open_page("/picture", width=1200)
    drop(page, "label.drop", "people.jpg", jpeg(picture(FRAMES // 2, RIG.cameras[0])))
    expect(page.get_by_role("heading", name="2 people")).to_be_visible()
    page.wait_for_timeout(300)
    assert look(page, "canvas.photo", ID_0_DARK).share > 0.0005
    page.screenshot(path=shots / "picture-dark.png", full_page=True)
    page.locator("#least").fill("1")  # above every score: no joint is left
    page.wait_for_timeout(200)
    assert look(page, "canvas.photo", ID_0_DARK).share == 0


def test_what_is_no_picture_is_told(open_page: Open, watch: Watch) -> None:
    page = open_page("/picture")
    drop(page, "label.drop", "notes.txt", b"not a picture at all")
    expect(page.get_by_role("alert")).to_contain_text("Not a kind of file that is read here")
    assert [wrong for wrong in watch.wrong if "415" not in wrong] == []
    watch.wrong.clear()


def test_the_system_page_tells_state_and_times(open_page: Open, shots: Path) -> None:
    page = open_page("/system", width=1200)
    expect(page.get_by_role("heading", name="Ready", exact=True)).to_be_visible()
    answered = page.locator(".tile", has_text="Frame sets answered").locator("strong")
    assert int(answered.inner_text()) >= FRAMES
    expect(page.locator(".bars")).to_contain_text("triangulate")
    page.screenshot(path=shots / "system.png", full_page=True)


def test_a_missing_rig_is_told(open_page: Open, watch: Watch) -> None:
    page = open_page("/rigs")
    page.evaluate("location.hash = '#/rigs/nowhere'")
    expect(page.get_by_role("alert")).to_contain_text("there is no rig 'nowhere'")
    assert [wrong for wrong in watch.wrong if "404" not in wrong] == []
    watch.wrong.clear()


def test_every_control_has_a_name(open_page: Open) -> None:
    page = open_page("/rigs")
    for address in ("/rigs/hall", "/rigs/bare/calibrate", "/takes", "/takes/walk", "/picture"):
        assert _nameless(page) == [], f"before {address}"
        page.evaluate("address => { location.hash = address; }", address)
        page.wait_for_timeout(400)
    assert _nameless(page) == []


def _nameless(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("button, a, select, input, canvas")]
        .filter((one) => {
            const label = one.labels?.[0]?.textContent || one.getAttribute("aria-label");
            const hidden = one.closest("[aria-hidden=true]");
            return !hidden && !(label || one.textContent.trim());
        }).map((one) => one.outerHTML)"""
    )
    return found


def test_keys_alone_reach_the_takes(open_page: Open) -> None:
    page = open_page("/rigs")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(4):  # the brand, Rigs, Live, Takes
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Takes", level=1)).to_be_visible()


def drop(page: Page, selector: str, name: str, data: bytes) -> None:
    """Drops a file as a hand with a mouse would: through the events, not the file button."""
    page.evaluate(
        """([selector, name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name));
            const place = document.querySelector(selector);
            for (const type of ["dragenter", "dragover", "drop"]) {
                place.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true}));
            }
        }""",
        [selector, name, list(data)],
    )
