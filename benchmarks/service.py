"""What the service costs on top of its pipeline: frame sets a second, and added milliseconds.

    python -m benchmarks.service [--quick] [--json FILE]

The peer is the pipeline called directly in one process. The service runs in a process of its own
and is asked over HTTP by some connections at once, at saturation and at half of the load. Once with
the shipped network, once with a network that finds nothing and takes no time (then all that is
left is ours: HTTP, forms, queue, decoding), the latter also over Redis where `redis-server` is
installed. Frame sets are four JPEGs of 1280 x 720, about 50 kB each, without a capture. CPU
milliseconds of a frame set are what can be trusted on a machine that others use too.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import platform
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import psutil
import uvicorn
from numpy.typing import NDArray

from calibration.rig_file import rig_to_yaml
from models.candidates import Candidates
from models.grouping import DecodeSettings, group
from models.sighting import Sighting
from models.skeleton import COCO17
from service.app import create_app
from service.config import ModelSettings, QueueSettings, Settings
from service.network import load_predictor
from service.pipeline import PipelineSettings, run_frame_set
from tests.scenes import ring_rig

SIZE_PX = (1280, 720)
RIG = ring_rig(4, size_px=SIZE_PX, focal_px=900.0)
BOUNDARY = "quadglass-benchmark"
CONNECTIONS = 4
START_S = 60.0


class Nobody:
    """A network that finds nobody and takes no time."""

    name, sha256, input_side, skeleton = "nobody", "0" * 64, 320, COCO17

    def candidates(self, images: Sequence[NDArray[np.uint8]]) -> list[Candidates]:
        """Nothing for each picture."""
        none = np.zeros((17, 1))
        return [
            Candidates(
                joints_px=np.zeros((17, 1, 2)),
                scores=none,
                tags=np.zeros((17, 1, 1)),
                centers_px=np.full((17, 1, 2), np.nan),
                sizes_px=np.full((17, 1), np.nan),
                seeds_px=np.zeros((0, 2)),
                seed_scores=np.zeros(0),
                seed_joints_px=np.zeros((0, 17, 2)),
                cell_px=1.0,
                size_px=(image.shape[1], image.shape[0]),
            )
            for image in images
        ]

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Sighting]]:
        """Nobody in each picture."""
        return [group(one, DecodeSettings()) for one in self.candidates(images)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 s a measurement instead of 20")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args(arguments)
    seconds = 3.0 if options.quick else 20.0
    images = frame_set()
    size_kb = sum(map(len, images.values())) / len(images) / 1000
    print(f"{platform.processor() or platform.machine()}, {multiprocessing.cpu_count()} cores, "
          f"onnxruntime {onnxruntime.__version__}, opencv {cv2.__version__}; "
          f"{len(images)} JPEGs of {size_kb:.0f} kB a frame set")  # fmt: skip
    rows = [measured("shipped network", images, seconds, Settings(), nobody=False)]
    rows.append(measured("no network", images, seconds, Settings(), nobody=True))
    with redis_server() as url:
        if url is None:
            print("no redis-server: not measured over Redis")
        else:
            queue = QueueSettings(kind="redis", url=url)
            rows.append(
                measured("no network, Redis", images, seconds, Settings(queue=queue), nobody=True)
            )
    columns = ("pipeline_per_s", "service_per_s", "share_percent", "pipeline_cpu_ms",
               "service_cpu_ms", "pipeline_ms", "added_p50_ms", "added_p95_ms")  # fmt: skip
    print(f"{'':20}" + "".join(f"{name:>17}" for name in columns))
    for row in rows:
        print(f"{row['what']:20}" + "".join(f"{row[name]:17.1f}" for name in columns))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def measured(
    what: str, images: dict[str, bytes], seconds: float, settings: Settings, *, nobody: bool
) -> dict[str, Any]:
    """One row: the pipeline directly, then the service around it."""
    predictor = Nobody() if nobody else load_predictor(ModelSettings())
    run_frame_set(images, RIG, predictor, PipelineSettings())
    took = []
    cpu_s = time.process_time()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        run_frame_set(images, RIG, predictor, PipelineSettings())
        took.append(time.perf_counter() - start)
    pipeline_cpu_ms = 1e3 * (time.process_time() - cpu_s) / len(took)
    pipeline_ms = 1e3 * float(np.median(took))
    pipeline_per_s = len(took) / sum(took)
    del predictor  # the service loads its own
    with served(settings, nobody) as (port, process):
        cpu_s = cpu_of(process)
        full = asked(port, images, seconds, None)
        service_cpu_ms = 1e3 * (cpu_of(process) - cpu_s) / len(full)
        half = asked(port, images, seconds, len(full) / seconds / 2)
    return {
        "what": what,
        "pipeline_per_s": pipeline_per_s,
        "service_per_s": len(full) / seconds,
        "share_percent": 100 * len(full) / seconds / pipeline_per_s,
        "pipeline_ms": pipeline_ms,
        "pipeline_cpu_ms": pipeline_cpu_ms,
        "service_cpu_ms": service_cpu_ms,
        "added_p50_ms": float(np.percentile(half, 50)) - pipeline_ms,
        "added_p95_ms": float(np.percentile(half, 95)) - 1e3 * float(np.percentile(took, 95)),
    }


def frame_set() -> dict[str, bytes]:
    """Four different pictures of soft shapes, compressed to about 50 kB."""
    rng = np.random.default_rng(0)
    images = {}
    for name in RIG.names:
        rough = rng.integers(0, 256, (45, 80, 3), dtype=np.uint8)
        image = cv2.resize(rough, SIZE_PX, interpolation=cv2.INTER_CUBIC)
        images[name] = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 20])[1].tobytes()
    return images


def asked(port: int, images: dict[str, bytes], seconds: float, per_s: float | None) -> list[float]:
    """Milliseconds of each answer, from connections that never rest or keep to a rate."""
    body = form(images)
    took: list[float] = []
    begin = time.perf_counter()
    turns = iter(range(10**9))
    lock = threading.Lock()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        while True:
            with lock:
                due = begin + (next(turns) / per_s if per_s else 0.0)
            time.sleep(max(0.0, due - time.perf_counter()))
            start = time.perf_counter()
            if start - begin > seconds:
                return
            connection.request("POST", "/v1/rigs/ring/frames", body, headers)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer
            took.append(1e3 * (time.perf_counter() - start))

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def form(images: dict[str, bytes]) -> bytes:
    """The body of a request, made once."""
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="a.jpg"\r\n\r\n%b\r\n'
        % (BOUNDARY.encode(), name.encode(), data)
        for name, data in images.items()
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@contextmanager
def served(settings: Settings, nobody: bool) -> Iterator[tuple[int, psutil.Process]]:
    """The port of a service and its own process, with the rig and a warm worker."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        chosen = settings.model_copy(update={"data_dir": Path(folder)})
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(chosen, nobody, port)
        )
        process.start()
        try:
            wait_ready(port)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("PUT", "/v1/rigs/ring/rig.yaml", rig_to_yaml(RIG).encode())
            assert connection.getresponse().status == 201
            connection.close()
            assert process.pid is not None, "the service has started"
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.join()


def cpu_of(process: psutil.Process) -> float:
    """Seconds that a process has computed so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def serve(settings: Settings, nobody: bool, port: int) -> None:
    """Runs in the other process."""
    app = create_app(settings, predictor=Nobody() if nobody else None)
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False)


def wait_ready(port: int) -> None:
    """Returns once a worker is warm."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise TimeoutError(f"the service was not ready within {START_S:.0f} s")


@contextmanager
def redis_server() -> Iterator[str | None]:
    """The address of a Redis of our own; None where none is installed."""
    binary = shutil.which("redis-server")
    if binary is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [binary, *f"--port {port} --bind 127.0.0.1 --save  --dir {folder}".split(" ")],
            stdout=subprocess.DEVNULL,
        )
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
