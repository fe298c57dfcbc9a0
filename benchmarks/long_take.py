"""Whether a long take costs memory, and whether a kill in its middle costs results.

A service in a process of its own gets frame sets of four cameras at 30 Hz (by their timestamps) as
fast as it takes them, over one live stream. It is killed with SIGKILL halfway and started again on
the same data; the sender goes on behind the last result. Its network finds coloured dots, so that
everything but the network is as always. Printed are the resident memory over the take, its slope,
and how often each frame set is in the take.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import numpy as np
import psutil

from tests.service.live import live
from tests.service.standalone import alone
from tests.service.world import FRAME_NS, RIG_YAML, frame_set, person

MOMENTS = 8  # different pictures; they come round and round
# Sent and not answered. The plain client of `websockets` reads nothing while its send is blocked:
# one that sends without end starves its own reading.
AHEAD = 16
SETTLED = 600  # results before which memory is not judged: pools and caches fill


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2400 frame sets instead of 18000")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    count = 2400 if options.quick else 18_000
    print(f"{platform.machine()}, {psutil.cpu_count()} cores; {count} frame sets of 4 cameras, "
          f"{count / 30 / 60:.1f} minutes at 30 Hz")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder) / "data", count)
    for name, value in figures.items():
        print(f"{name:34}{value:>12}" if isinstance(value, int) else f"{name:34}{value:12.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def measured(data_dir: Path, count: int) -> dict[str, int | float]:
    """The take in two halves, and what is in it."""
    moments = [frame_set([person(0.02 * n, 0.4), person(-0.02 * n, -0.4)]) for n in range(MOMENTS)]
    halves: list[list[tuple[int, float]]] = []
    start = perf_counter()
    patient = {"queue_deadline_s": 120}  # on a busy machine the first frame set waits for compilers
    with alone(data_dir, **patient) as (client, process):
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "long"})
        halves.append(streamed(client, psutil.Process(process.pid), moments, count, count // 2))
        process.kill()  # between two results, or in the middle of one
    with alone(data_dir, **patient) as (client, process):
        halves.append(streamed(client, psutil.Process(process.pid), moments, count, count))
        seconds = perf_counter() - start
        times: Counter[int] = Counter()
        ids: set[int] = set()
        begin: int | None = 0
        while begin is not None:
            page = client.get(
                "/v1/captures/long/frames", params={"from": begin, "limit": 200}
            ).json()
            for frame in page["frames"]:
                times[frame["timestamp_ns"] // FRAME_NS] += 1
                ids |= {one["id"] for one in frame["people"]}
            begin = page["next"]
    slopes = [slope_mb(points) for points in halves]
    return {
        "frame sets": count,
        "in the take": len(times),
        "missing": count - sum(number in times for number in range(count)),
        "twice": sum(value > 1 for value in times.values()),
        "identities": len(ids),
        "frame sets per second": count / seconds,
        "memory at the start, MB": halves[0][0][1],
        "memory at the end, MB": halves[1][-1][1],
        "slope of 1st half, MB per 1000": slopes[0],
        "slope of 2nd half, MB per 1000": slopes[1],
        "store, MB": sum(one.stat().st_size for one in data_dir.rglob("*.jsonl")) / 1e6,
    }


def streamed(
    client: httpx.Client,
    process: psutil.Process,
    moments: Sequence[dict[str, bytes]],
    count: int,
    until: int,
) -> list[tuple[int, float]]:
    """(results, resident MB) while frame sets are streamed up to the `until`-th result."""
    points: list[tuple[int, float]] = []
    with live(client, "/v1/rigs/studio/stream?capture=long&mode=all") as stream:
        last_ns = stream.next("hello")["last_timestamp_ns"]
        begin = 0 if last_ns is None else last_ns // FRAME_NS + 1

        ahead = threading.Semaphore(AHEAD)

        def send() -> None:
            for number in range(begin, count):
                ahead.acquire()
                try:
                    stream.send(moments[number % MOMENTS], number * FRAME_NS, number)
                except Exception:  # the other side was killed, as it should be
                    return

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        for done in range(begin, until):
            said: dict[str, Any] = stream.next("result", "dropped", "problem")
            assert said["type"] == "result", said
            ahead.release()
            stream.seen.clear()
            if done % 50 == 0:
                points.append((done, process.memory_info().rss / 1e6))
        if until == count:
            sender.join()
        else:
            process.kill()
            ahead.release(AHEAD)
            sender.join(30)
    return points


def slope_mb(points: Sequence[tuple[int, float]]) -> float:
    """Megabytes per 1000 frame sets, of the line through the points once it has settled."""
    begin = points[0][0] + SETTLED
    settled = np.array([point for point in points if point[0] >= begin])
    if len(settled) < 3:
        return float("nan")
    return float(np.polyfit(settled[:, 0], settled[:, 1], 1)[0] * 1000)


if __name__ == "__main__":
    main()
