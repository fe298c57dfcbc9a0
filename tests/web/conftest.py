from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from service.config import QueueSettings, Settings

from ..service.server import running
from .browser import Watch, chromium_path, launched
from .film import FRAMES, RATE_HZ, RIG, RIG_YAML, SIZE_PX, Prompter, jpeg, picture

Open = Callable[..., Page]


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A running service: rig `hall`, uncalibrated rig `bare`, takes `walk`, `nobody`, `blank`."""
    # Patient: a machine that also trains may take seconds to answer.
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("site"), queue=QueueSettings(deadline_s=60)
    )
    with running(settings, predictor=Prompter()) as client:
        client.put("/v1/rigs/hall/rig.yaml", content=RIG_YAML).raise_for_status()
        client.post("/v1/rigs", json={"name": "bare", "kind": "quad"}).raise_for_status()
        for name in ("walk", "nobody", "blank"):
            client.post("/v1/captures", json={"rig": "hall", "name": name}).raise_for_status()
        for moment in range(FRAMES):
            post(client, "walk", moment, {c.name: jpeg(picture(moment, c)) for c in RIG.cameras})
        dark = jpeg(np.zeros((SIZE_PX[1], SIZE_PX[0], 3), dtype=np.uint8))
        post(client, "nobody", 0, dict.fromkeys(RIG.names[:3], dark))  # cam3 is missing here
        post(client, "nobody", 1, dict.fromkeys(RIG.names, dark))
        yield client


def post(client: httpx.Client, capture: str, moment: int, images: dict[str, bytes]) -> None:
    """Puts the pictures of a moment into a capture of the rig `hall`."""
    files = {name: (f"{name}.jpg", data, "image/jpeg") for name, data in images.items()}
    time_ns = 1_785_000_000_000_000_000 + round(moment / RATE_HZ * 1e9)
    values = {"timestamp_ns": str(time_ns), "capture": capture}
    client.post("/v1/rigs/hall/frames", files=files, data=values).raise_for_status()


# Not for the session: Playwright's event loop runs on while the browser is open, and no other
# package's test could start one of its own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with launched(path) as browser:
        yield browser


@pytest.fixture
def watch(site: httpx.Client) -> Iterator[Watch]:
    """Fails the test if the page logged an error, threw, or asked another host."""
    watch = Watch(site.base_url.netloc.decode())
    yield watch
    assert watch.wrong == [], "\n".join(watch.wrong)


@pytest.fixture
def open_page(site: httpx.Client, browser: Browser, watch: Watch) -> Iterator[Open]:
    """Opens a part of the page in a window of some size and colour scheme."""
    contexts: list[BrowserContext] = []

    def open_page(
        address: str, *, width: int = 1440, height: int = 900, scheme: str = "dark"
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="light" if scheme == "light" else "dark",
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        watch.attach(page)
        page.goto(f"{site.base_url}#{address}")
        page.wait_for_selector("h1")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="package")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go, for people to look at: the folder $SCREENSHOTS, or a passing one."""
    if "SCREENSHOTS" not in os.environ:
        return tmp_path_factory.mktemp("screenshots")
    folder = Path(os.environ["SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder
