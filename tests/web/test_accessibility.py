"""Every page through axe-core, the accessibility checker of Deque, in both colour schemes.

The checker comes from npm, once, into a folder outside the repository ($QUADGLASS_TEST_CACHE or
~/.cache/quadglass-tests), and only here. It is put into the page by the debugger: the page's own
content policy lets nothing from elsewhere in, and stays as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from .conftest import Open

VERSION = "4.10.3"
SERIOUS = ("serious", "critical")
PULL_S = 60
RUN = "axe.run(document, {resultTypes: ['violations']}).then((all) => all.violations)"
PAGES = (
    "/rigs",
    "/rigs/hall",
    "/rigs/bare/calibrate",
    "/live",
    "/live/walk",
    "/takes",
    "/takes/walk",
    "/picture",
    "/system",
)


@pytest.fixture(scope="package")
def axe() -> str:
    """The checker's source."""
    place = os.environ.get("QUADGLASS_TEST_CACHE")
    folder = Path(place) if place else Path.home() / ".cache" / "quadglass-tests"
    path = folder / f"axe-core-{VERSION}.min.js"
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core is not here and there is no npm to get it: apt-get install npm")
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", f"axe-core@{VERSION}", "--silent"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=PULL_S)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"axe-core is not here and npm cannot get it: {error}")
        package = folder / f"axe-core-{VERSION}.tgz"
        with tarfile.open(package) as archive:
            source = archive.extractfile("package/axe.min.js")
            assert source is not None
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(source.read())
        part.replace(path)
        package.unlink()
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_no_serious_finding(open_page: Open, site: httpx.Client, axe: str, scheme: str) -> None:
    page = open_page("/rigs", scheme=scheme)
    found = []
    for address in PAGES:
        page.evaluate("address => { location.hash = address; }", address)
        page.wait_for_timeout(200)
        page.wait_for_selector("main h1")
        page.wait_for_selector("main .waiting", state="detached")
        found += [f"{address}: {one}" for one in findings(page, axe)]
    assert found == [], "\n".join(found)


def test_the_checker_sees_what_is_wrong(open_page: Open, axe: str) -> None:
    page = open_page("/system")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert any("button-name" in one for one in findings(page, axe))


def findings(page: Page, axe: str) -> list[str]:
    """Serious and critical findings, each with the first elements that have it."""
    session = page.context.new_cdp_session(page)
    # A world of its own would see the same elements, but axe wants the page's `window`.
    session.send("Runtime.evaluate", {"expression": axe})
    answer = session.send(
        "Runtime.evaluate",
        {
            "expression": RUN,
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    session.detach()
    violations: list[dict[str, Any]] = answer["result"]["value"]
    return [
        f"{one['id']} ({one['impact']}, {len(one['nodes'])}): {one['help']}: "
        + "; ".join(
            f"{node['html'][:100]} | {node['failureSummary'][:200]}" for node in one["nodes"][:3]
        )
        for one in violations
        if one["impact"] in SERIOUS
    ]
