"""Our network beside MoveNet MultiPose: how many people both find, and how fast.

python -m benchmarks.network [--quick] [--json FILE]

Reads photos kept out of training, and the peer, from ../shared beside the repository.
"""

import argparse
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from models.grouping import DecodeSettings, group
from models.predictor import OnnxPredictor
from models.training.evaluation import EvaluateReport, EvaluateSettings, evaluate, held_out
from models.training.rivals import MultiPose
from models.weights import default_weights

from .machine import machine, machine_line

U8: TypeAlias = NDArray[np.uint8]

SHARED = Path(__file__).parents[1] / "../shared"
SETS = tuple(SHARED / "train" / name for name in ("coco128", "pennfudan", "lspet"))
PEER = SHARED / "train/teachers/movenet-multipose.onnx"
SIDES = (256, 384)


@dataclass(frozen=True, slots=True)
class Speed:
    """One network at one size on ordinary photos."""

    name: str
    input_side: int
    cpu_ms: float  # of one core for a picture, network and grouping
    decode_ms: float  # of that, grouping; NaN where it is inside the graph
    wall_two_workers: float  # pictures a second with two workers of one thread each


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few photos of each set")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--weights", type=Path, help="other weights than the packaged ones")
    options = parser.parse_args()
    if not PEER.is_file():
        raise SystemExit(f"no {PEER}: this benchmark needs the shared photos and teachers")
    weights = options.weights or default_weights()
    most = 12 if options.quick else None
    found = evaluate(EvaluateSettings(weights, SETS, SIDES, peer=PEER, most_photos=most))
    images = [_image(photo.path) for photo in held_out(SETS[:1], False, 6 if options.quick else 24)]
    speeds = [speed for side in SIDES for speed in _speeds(weights, side, images)]
    of = machine()
    print(_table(found, speeds, of))
    if options.json is not None:
        figures = {
            "machine": of,
            "found": asdict(found),
            "speeds": [asdict(speed) for speed in speeds],
        }
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _speeds(weights: Path, side: int, images: Sequence[U8]) -> list[Speed]:
    ours = OnnxPredictor(weights, input_side=side)
    peer = MultiPose(PEER, side)
    settings = DecodeSettings()
    candidates = ours.candidates(list(images))
    decode_ms = _cpu_ms(lambda index: group(candidates[index], settings), len(images))
    return [
        Speed(
            weights.stem,
            side,
            _cpu_ms(lambda index: ours.predict([images[index]]), len(images)),
            decode_ms,
            _wall(lambda: OnnxPredictor(weights, input_side=side).predict, images),
        ),
        Speed(
            PEER.stem,
            side,
            _cpu_ms(lambda index: peer.predict([images[index]]), len(images)),
            float("nan"),
            _wall(lambda: MultiPose(PEER, side).predict, images),
        ),
    ]


def _cpu_ms(work: Callable[[int], object], count: int) -> float:
    """Median over the pictures of the processor time of one, after one to warm up."""
    work(0)
    spent = []
    for index in range(count):
        begun = time.process_time()
        work(index)
        spent.append(time.process_time() - begun)
    return float(np.median(spent)) * 1e3


def _wall(make: Callable[[], Callable[[list[U8]], object]], images: Sequence[U8]) -> float:
    """Pictures a second by the clock of two workers, each with a session of its own."""
    workers = [make() for _ in range(2)]
    for predict in workers:
        predict([images[0]])
    threads = [
        threading.Thread(target=lambda predict=predict: [predict([image]) for image in images])
        for predict in workers
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 2 * len(images) / (time.perf_counter() - begun)


def _table(found: EvaluateReport, speeds: Sequence[Speed], of: dict[str, str]) -> str:
    lines = [
        f"AP on {found.crowd_photos} photos with {found.crowd_people} labelled people, "
        f"PCK@0.2 on {found.sole_photos} photos, none trained on by us",
        "",
        "| network | longer side | AP | AP50 | AR | AP, oracle grouping | PCK@0.2 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.name} | {row.input_side} | {row.ap:.3f} | {row.ap50:.3f} | {row.ar:.3f} "
        f"| {_figure(row.oracle_ap, 3)} | {row.pck:.3f} |"
        for row in found.rows
    ]
    lines += [
        "",
        "| network | longer side | ms of one core | of that grouping | images/s, two workers |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {speed.name} | {speed.input_side} | {speed.cpu_ms:.1f} "
        f"| {_figure(speed.decode_ms, 1)} | {speed.wall_two_workers:.1f} |"
        for speed in speeds
    ]
    lines += ["", machine_line(of)]
    return "\n".join(lines)


def _figure(value: float, digits: int) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"


def _image(path: Path) -> U8:
    image = cv2.imread(str(path))
    assert image is not None, f"cannot read {path}"
    return np.asarray(image, dtype=np.uint8)


if __name__ == "__main__":
    main()
