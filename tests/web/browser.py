"""A real Chromium, and what a page in it did that it should not have done."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

# The machine's interfaces changed (a container was started, say); the page asks again.
_INTERFACE = "net::ERR_NETWORK_CHANGED"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A camera that shows a test picture, allowed without asking.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


def chromium_path() -> str | None:
    """The system's browser, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    """The browser as long as the block runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watch:
    """What is wrong with a page: console errors, exceptions, requests to other hosts."""

    host: str
    wrong: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def attach(self, page: Page) -> None:
        """Listens from now on."""
        page.on("pageerror", lambda error: self.wrong.append(f"exception: {error}"))
        page.on("console", self._hear)
        page.on("request", lambda request: self._ask(request.url))

    def _hear(self, message: object) -> None:
        kind, text = getattr(message, "type", ""), getattr(message, "text", "")
        if kind in ("error", "warning") and _INTERFACE not in text:
            self.wrong.append(f"console {kind}: {text}")

    def _ask(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("blob", "data"):
            return
        self.hosts.add(parts.netloc)
        if parts.netloc != self.host:
            self.wrong.append(f"request to another host: {url}")
