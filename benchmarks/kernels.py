"""Our kernels beside their straightforward forms: `python -m benchmarks.kernels`.

    python -m benchmarks.kernels [--quick] [--json FILE] [--gpu]

On a CPU every figure is processor time of one thread, the median of many calls, so a busy machine
disturbs it little. Decode: synthetic 17 x 128 x 128 maps of people whose joints lie about 7 cells
from their middle. `--gpu` adds what `benchmarks.kernels_gpu` measures; without a GPU it says "not
measured".
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from kernels import attention, backend, varlen, varlen_attention
from kernels.grouping_fast import GroupRules, JointPeaks, group_peaks
from kernels.grouping_fast import reference as group_plainly
from kernels.peaks import PeakRules, Peaks, find_peaks
from kernels.preprocess import Normalisation, preprocess, with_opencv
from models.skeleton import TORSO_OUT

from .peaks_peers import peaks_by_torch, peaks_in_graph, pose_maps

RULES = GroupRules(order=TORSO_OUT, torso=(5, 6, 11, 12), smallest=2.0)
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Lengths of packed sequences; 4 heads of 16.
PACKS = {
    "30 x 17": [17] * 30,
    "30 x 4-17": [4 + (5 * i) % 14 for i in range(30)],
    "16 x 17-64": [17 + (13 * i) % 48 for i in range(16)],
    "8 x 100-250": [100, 120, 250, 140, 180, 200, 230, 160],
    "8 x 20-400": [20, 400, 60, 340, 120, 280, 180, 220],
}


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; less is better."""

    what: str
    case: str
    peer: str  # what ours stands beside
    peer_ms: float | None
    ours_ms: float
    target_ms: float | None = None


def milliseconds(run: Callable[[], object], repeat: int) -> float:
    """Processor time of one call, the median of ``repeat`` after one that warms up."""
    run()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def to_group(peaks: Peaks) -> JointPeaks:
    """Peaks of the first view, for grouping by tags and expected places."""
    scores = peaks.scores[0].astype(np.float64)
    nowhere = np.full((*scores.shape, 2), np.nan)
    cells, tags = peaks.cells[0].astype(np.float64), peaks.tags[0].astype(np.float64)
    return JointPeaks(cells, scores, tags, nowhere, nowhere[..., 0])


def decode(repeat: int) -> list[Row]:
    """Peaks, grouping and filling."""
    rows = []
    graph = peaks_in_graph(128)
    for people, target in ((2, None), (6, 0.5), (30, 1.5)):
        heat, tags, expected = pose_maps(people)
        case, where = f"{people} people", expected.astype(np.float64)
        found = to_group(find_peaks(heat, tags, PeakRules()))
        ours = milliseconds(lambda h=heat, t=tags: find_peaks(h, t), repeat)
        plain = milliseconds(lambda h=heat, t=tags: peaks_by_torch(h, t), repeat)
        inside = milliseconds(lambda h=heat, t=tags: graph(h, t), repeat)
        rows.append(Row("peaks", case, "torch max-pool, top-k", plain, ours))
        rows.append(Row("peaks", case, "ONNX Runtime graph", inside, ours))
        grouped = milliseconds(lambda f=found, w=where: group_peaks(f, w, RULES), repeat)
        plain_group = milliseconds(lambda f=found, w=where: group_plainly(f, w, RULES), repeat)
        rows.append(Row("grouping, filling", case, "numpy and scipy", plain_group, grouped))
        rows.append(
            Row("decode", case, "torch and scipy", plain + plain_group, ours + grouped, target)
        )
    return rows


def smooth_picture(width: int, height: int) -> NDArray[np.uint8]:
    """A picture with detail as photos have, not noise that no JPEG could hold."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def pictures(repeat: int) -> list[Row]:
    """From a 1080p picture, decoded or not, to the network's input."""
    picture, rows = smooth_picture(1920, 1080), []
    for side, rules, target in ((256, None, 1.0), (256, IMAGENET, 1.0), (384, None, None)):
        inner, outer = (side, side * 9 // 16), (side, -(-side * 9 // 16 // 32) * 32)
        kind = "bytes" if rules is None else "planes"
        arguments = ([picture], [inner], outer, rules)
        ours = milliseconds(lambda a=arguments: preprocess(*a), repeat)
        peer = milliseconds(lambda a=arguments: with_opencv(*a), repeat)
        rows.append(Row("preprocess", f"1080p -> {side}, {kind}", "OpenCV", peer, ours, target))
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]

    def whole() -> object:
        return with_opencv([cv2.imdecode(data, cv2.IMREAD_COLOR)], [(256, 144)], (256, 160))

    def reduced() -> object:
        small = np.asarray(cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_4))
        return preprocess([small], [(256, 144)], (256, 160))

    peer, ours = milliseconds(whole, repeat), milliseconds(reduced, repeat)
    target = peer / 2.5
    rows.append(Row("JPEG decode", "1080p -> 256", "all of it, then OpenCV", peer, ours, target))
    return rows


def packing(repeat: int) -> list[Row]:
    """The rule that chooses between padding and a loop, beside both; and dense attention."""
    rows = []
    for case, lengths in PACKS.items():
        torch.manual_seed(0)
        q, k, v = torch.randn(3, sum(lengths), 4, 16).unbind()
        cu = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
        longest = max(lengths)

        def padded(q=q, k=k, v=v, cu=cu, n=longest) -> object:
            return varlen._padded(q, k, v, cu, cu, n, n, False, 0.25)

        def looped(q=q, k=k, v=v, lengths=lengths) -> object:
            return varlen._looped(q, k, v, lengths, lengths, False, 0.25)

        def chosen(q=q, k=k, v=v, cu=cu, n=longest) -> object:
            return varlen_attention(q, k, v, cu, cu, n, n, scale=0.25)

        with torch.no_grad():
            ours = milliseconds(chosen, repeat)
            rows.append(Row("varlen", case, "padded", milliseconds(padded, repeat), ours))
            rows.append(Row("varlen", case, "loop", milliseconds(looped, repeat), ours))
    q, k, v = torch.randn(3, 1, 4, 1024, 16).unbind()
    with torch.no_grad():
        ours = milliseconds(lambda: attention(q, k, v), repeat)
        plain = milliseconds(lambda: attention(q, k, v, backend="reference"), repeat)
    rows.append(Row("attention", "1024 x 1024, 4 x 16", "unfused", plain, ours))
    return rows


START = """
import time, numpy as np
import scipy.optimize
start = time.process_time()
from kernels.grouping_fast import GroupRules, JointPeaks, group_peaks
from kernels.peaks import find_peaks
heat = np.random.default_rng(0).random((1, 17, 32, 32), dtype=np.float32)
peaks = find_peaks(heat, heat[:, :, None])
flat = [a[0].astype(float) for a in (peaks.cells, peaks.scores, peaks.tags)]
group_peaks(JointPeaks(*flat, flat[0], flat[1]), np.zeros((0, 17, 2)),
            GroupRules(tuple(range(17)), (5, 6, 11, 12)))
print(1e3 * (time.process_time() - start))
"""


def start_up() -> list[Row]:
    """The first decode of a process, imports of ours and of numba included."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}

        def first(**extra: str) -> float:
            run = subprocess.run(
                [sys.executable, "-c", START],
                env={**environment, **extra},
                capture_output=True,
                text=True,
                check=True,
            )
            return float(run.stdout)

        numpy_ms = first(KERNELS_NUMBA="0")
        compiling, cached = first(), first()
    peer = "numpy and scipy"
    return [
        Row("first decode", "nothing compiled yet", peer, numpy_ms, compiling),
        Row("first decode", "compiled before", peer, numpy_ms, cached),
    ]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    names = ("torch", "triton", "numba", "numpy", "opencv-python-headless", "onnxruntime")
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except ImportError:
            versions[name] = "not installed"
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        processor = models[0] if models else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "backend": backend(),
        **versions,
    }


def show(rows: list[Row]) -> None:
    """A table, one comparison a line."""
    print(f"{'what':18} {'case':26} {'peer':24} {'peer ms':>9} {'ours ms':>9} {'ratio':>7}  target")
    for row in rows:
        peer = "" if row.peer_ms is None else f"{row.peer_ms:.3f}"
        ratio = "" if row.peer_ms is None else f"{row.peer_ms / row.ours_ms:.2f}"
        target = ""
        if row.target_ms is not None:
            met = "met" if row.ours_ms <= row.target_ms else "MISSED"
            target = f"<= {row.target_ms:.2f} {met}"
        print(
            f"{row.what:18} {row.case:26} {row.peer:24} {peer:>9} {row.ours_ms:9.3f} {ratio:>7}"
            f"  {target}"
        )


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, no start-up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--gpu", action="store_true", help="add what needs a GPU")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    repeat = 7 if asked.quick else 50
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    rows = decode(repeat) + pictures(repeat) + packing(repeat)
    rows += [] if asked.quick else start_up()
    show(rows)
    report: dict[str, Any] = {"machine": about, "cpu": [asdict(row) for row in rows]}
    if asked.gpu:
        from .kernels_gpu import measure

        report["gpu"] = measure(quick=asked.quick)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
