"""A capture looked at while it runs, and one made with the cameras of the browser's computer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from quadglass import Client

from ..service.server import until
from .canvas import look
from .conftest import Open
from .film import FRAMES, RATE_HZ, RIG, jpeg, picture

VIEWS = [f".view[data-camera={name}] canvas" for name in RIG.names]


@contextmanager
def streaming(url: str, capture: str) -> Iterator[None]:
    """The film, over and over, into a live stream, as `quadglass send` sends it."""
    film = [{c.name: jpeg(picture(t, c)) for c in RIG.cameras} for t in range(FRAMES)]
    stop = threading.Event()

    def go() -> None:
        with (
            Client(url) as client,
            client.stream("hall", capture=capture, mode="latest") as stream,
        ):
            listener = threading.Thread(target=lambda: list(stream), daemon=True)
            listener.start()
            moment = 0
            while not stop.wait(1 / RATE_HZ):
                stream.send(film[moment % FRAMES], time.time_ns(), moment)
                moment += 1
            stream.end()
            listener.join(20)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def until_shown(page: Page, moments: int) -> None:
    """Waits until so many moments were shown."""
    page.wait_for_function(
        "least => Number(document.querySelector('.page').dataset.moments ?? 0) >= least",
        arg=moments,
    )


def test_a_running_capture_is_shown(open_page: Open, site: httpx.Client, shots: Path) -> None:
    site.post("/v1/captures", json={"rig": "hall", "name": "now"}).raise_for_status()
    page = open_page("/live/now", height=1100)
    expect(page.get_by_text("Nothing has come yet")).to_be_visible()
    with streaming(str(site.base_url), "now"):
        until_shown(page, 10)
        expect(page.get_by_text("Nothing has come yet")).to_be_hidden()
        expect(page.locator(".facts", has_text="People")).to_contain_text("2")
        expect(page.locator(".facts", has_text="From camera to screen")).to_contain_text("ms")
        cameras = page.get_by_role("region", name="Cameras", exact=True)
        expect(cameras.locator("tbody tr")).to_have_count(4)
        expect(cameras.locator("tbody tr").first).to_contain_text("fine")
        before = {canvas: look(page, canvas) for canvas in [*VIEWS, "canvas.scene"]}
        for canvas, painting in before.items():
            assert painting.colours > 50, canvas
            until(
                lambda canvas=canvas, painting=painting: (
                    look(page, canvas).fingerprint != painting.fingerprint
                ),
                f"{canvas} moves",
            )
        page.screenshot(path=shots / "live.png", full_page=True)
    frames = site.get("/v1/captures/now").json()["frames"]
    assert frames >= 10


def test_the_list_leads_to_a_capture(open_page: Open) -> None:
    page = open_page("/live")
    page.get_by_role("link", name="walk", exact=True).click()
    expect(page.get_by_role("heading", name="walk", level=1)).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="connected")).to_be_visible()


def test_cameras_of_this_computer_are_recorded(
    open_page: Open, site: httpx.Client, shots: Path
) -> None:
    page = open_page("/live", scheme="light")
    command = page.locator("pre code")
    expect(command).to_contain_text("quadglass send cam0=/dev/video0")
    page.get_by_label("Name of the capture").fill("browser")
    expect(command).to_contain_text("--capture browser")
    page.get_by_role("button", name="Look for cameras").click()
    page.get_by_label("cam0").select_option(index=1)
    page.get_by_role("button", name="Record with these cameras").click()
    expect(page.get_by_text("answered")).to_be_visible()
    page.wait_for_function(
        "() => Number(/(\\d+) answered/.exec(document.body.innerText)?.[1] ?? 0) >= 3"
    )
    page.screenshot(path=shots / "live-start-light.png", full_page=True)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Record with these cameras")).to_be_visible()
    result = site.get("/v1/captures/browser/frames").json()["frames"][0]
    assert result["posted"] == ["cam0"]
