"""From a frame set posted to its skeletons drawn in a browser, and how often the page draws.

A service in this process gets four cameras' pictures of four people at 30 Hz over a live stream, as
`quadglass send` sends them; a headless Chromium shows the capture on the page. The network of the
service is replaced by one that reads the truth off the picture, so what is measured is everything
else: sockets, decoding, people in 3D, tracking, the disk, previews, the page. Times are of one
clock. Chromium draws in software here; a computer with a graphics card draws faster.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quadglass import Client
from service.config import QueueSettings, Settings
from tests.scenes import walkers
from tests.service.server import running
from tests.web import film
from tests.web.browser import chromium_path, launched

from .machine import machine, machine_line

PEOPLE = 4
RATE_HZ = 30.0
WARM_S = 5.0
# A moment counts as drawn at the animation frame after the one in which the page drew it.
LISTEN = """() => {
  const page = document.querySelector(".page");
  window.drawn = []; window.frames_drawn = 0;
  const count = () => { window.frames_drawn += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
  new MutationObserver(() => {
    const posted = Number(page.dataset.timestamp) / 1e6;
    requestAnimationFrame(() => requestAnimationFrame(() => drawn.push(Date.now() - posted)));
  }).observe(page, {attributes: true, attributeFilter: ["data-moments"]});
}"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 s instead of 60")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    figures = measured(10.0 if options.quick else 60.0)
    for name, value in figures.items():
        print(f"{name:44}{value:10.1f}")
    print(f"{machine_line(machine())}, {platform.machine()}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), **figures}, indent=1))


def measured(seconds: float) -> dict[str, float]:
    """The figures of so many seconds."""
    path = chromium_path()
    if path is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium")
    film.PEOPLE = walkers(PEOPLE, film.FRAMES / RATE_HZ, RATE_HZ, area_m=1.1, seed=5)
    film._CLOTHES = film._CLOTHES * 2
    moments = [
        {c.name: film.jpeg(film.picture(moment, c)) for c in film.RIG.cameras}
        for moment in range(film.FRAMES)
    ]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), queue=QueueSettings(deadline_s=60))
        with running(settings, predictor=film.Prompter()) as http, launched(path) as browser:
            http.put("/v1/rigs/hall/rig.yaml", content=film.RIG_YAML).raise_for_status()
            url = str(http.base_url)
            with Client(url) as client:
                client.create_capture("hall", "now")
                page = browser.new_page(viewport={"width": 1440, "height": 1100})
                page.goto(f"{url}#/live/now")
                page.wait_for_selector("canvas.scene")
                stop = threading.Event()
                counts: dict[str, Any] = {"posted": 0}
                sender = threading.Thread(target=send, args=(client, moments, stop, counts))
                sender.start()
                try:
                    page.wait_for_timeout(1e3 * WARM_S)
                    page.evaluate(LISTEN)
                    before, begun = dict(counts), time.monotonic()
                    page.wait_for_timeout(1e3 * seconds)
                    drawn, frames = page.evaluate("[drawn, frames_drawn]")
                    took = time.monotonic() - begun
                    after = dict(counts)
                finally:
                    stop.set()
                    sender.join(60)
    if not drawn:
        raise SystemExit("nothing was drawn; is the machine too busy?")
    p50, p95 = np.percentile(np.array(drawn), (50, 95))
    return {
        "frame sets posted a second": (after["posted"] - before["posted"]) / took,
        "moments drawn a second": len(drawn) / took,
        "animation frames a second": frames / took,
        "posted to drawn, median, ms": float(p50),
        "posted to drawn, 95 %, ms": float(p95),
    }


def send(
    client: Client, moments: list[dict[str, bytes]], stop: threading.Event, counts: dict[str, Any]
) -> None:
    """The film, over and over, until stopped; latest wins."""
    with client.stream("hall", capture="now", mode="latest") as stream:
        listener = threading.Thread(target=lambda: list(stream), daemon=True)
        listener.start()
        due = time.monotonic()
        while not stop.is_set():
            stream.send(moments[counts["posted"] % len(moments)], time.time_ns())
            counts["posted"] += 1
            due += 1 / RATE_HZ
            stop.wait(max(0.0, due - time.monotonic()))
        stream.end()
        listener.join(30)


if __name__ == "__main__":
    main()
