"""Activations, blocks, widths, stems and input sizes of our hourglass: time, size, first learning.

python -m benchmarks.blocks [--quick] [--json FILE] [--steps N]

One choice is changed at a time from quadglass-s (MultiPose's trunk, 32 channels, bottlenecks,
ReLU). Every variant learns from the same batches of 128 px in the same order, see
`benchmarks.short_training`: enough to see what begins well, not where it ends. Times are of what
lies above the trunk, in ONNX Runtime on one thread.
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from models.hourglass import HourglassConfig, StackedHourglass, quadglass_s, small
from models.movenet import HEAD_CHANNELS, MULTIPOSE, TRUNK_CHANNELS, TrunkMaps
from models.training.frozen import FrozenTrunk, cpu_session
from models.training.mix import MixSettings, TrainSet

from .machine import machine, machine_line
from .network import PEER, SETS
from .short_training import BATCH, Lessons, Outcome, read_lessons, train_shortly

SIDE = 128
SIDES = (256, 320, 384)
BASE = quadglass_s()
SEEDS = 3  # of the first variant: how far chance alone moves a figure
# Too slow to train for a table, and timed only.
UNTRAINED = "stem as published (timed only)"


@dataclass(frozen=True, slots=True)
class Row:
    """One variant."""

    table: str
    name: str
    parameters: int  # without the trunk's
    ms: dict[str, float]  # by input side, without the trunk
    outcome: Outcome | None


def variants() -> Iterator[tuple[str, str, HourglassConfig]]:
    """Table, name and network of each."""
    for act in ("relu", "silu", "gelu", "hardswish", "relu2"):
        yield "activation", act, replace(BASE, activation=act)
    for block in ("plain", "preactivation", "depthwise5", "depthwise7", "inverted"):
        yield "block", block, replace(BASE, block=block)
    yield "attention", "none at the lowest level", replace(BASE, attention=False)
    yield "width", "48", replace(BASE, width=48)
    yield "width", "64 (quadglass-m)", replace(BASE, width=64)
    light = replace(small(), width=32, center_field=True)
    yield "from scratch", "light stem", light
    yield "from scratch", UNTRAINED, replace(light, front="paper")


def main() -> None:
    """Train, time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 steps each, for a look")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--steps", type=int, default=60, help="of each variant; 0 only times them")
    options = parser.parse_args()
    if not PEER.is_file():
        raise SystemExit(f"no {PEER}: this benchmark needs the shared photos and teachers")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    steps = 8 if options.quick else options.steps
    shares = (0.4, 0.2, 0.4)
    sets = tuple(TrainSet(folder, share) for folder, share in zip(SETS, shares, strict=True))
    mix = MixSettings(sets, sizes=((SIDE, BATCH),), seed=3)
    lessons = Lessons([], [])
    if steps:
        lessons = read_lessons(mix, SETS, min(steps, 60), 10 if options.quick else 30, PEER)
    print("| what | variant | parameters | ms at 256 | 320 | 384 | heat | loss | joints found |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    rows = []
    for row in _rows(lessons, steps, 1 if options.quick else SEEDS):
        rows.append(row)
        print(_line(row), flush=True)
    of = machine()
    pictures = sum(len(lesson.batch.images) for lesson in lessons.held_out)
    print(f"\n{steps} steps of {BATCH} pictures, measured on {pictures}; {machine_line(of)}")
    if options.json is not None:
        figures = {"machine": of, "steps": steps, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _rows(lessons: Lessons, steps: int, seeds: int) -> Iterator[Row]:
    trunk = StackedHourglass(BASE).trunk
    assert trunk is not None, "the base has one"
    look = FrozenTrunk(trunk, threads=1)
    ms = {
        str(side): _median_ms(lambda side=side: look(torch.zeros(1, 3, side, side)))
        for side in SIDES
    }
    yield Row("trunk", "MultiPose alone", _count(trunk), ms, _learned(BASE, lessons, 0))
    for table, name, config in variants():
        outcome = _learned(config, lessons, steps) if name != UNTRAINED else None
        network = StackedHourglass(config)
        own = _count(network) - (_count(network.trunk) if network.trunk is not None else 0)
        yield Row(table, name, own, _times(network), outcome)
        if config == BASE and steps:
            for seed in range(1, seeds):
                again = _learned(config, lessons, steps, seed)
                yield Row(table, f"{name}, other first weights", own, {}, again)


def _learned(
    config: HourglassConfig, lessons: Lessons, steps: int, seed: int = 0
) -> Outcome | None:
    return train_shortly(config, lessons, steps, seed) if lessons.held_out else None


def _count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


class _Above(nn.Module):
    """A network without its trunk, as the exporter wants it."""

    def __init__(self, network: StackedHourglass) -> None:
        super().__init__()
        self.network = network

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        trunk = None
        if len(given) > 1:
            features, hidden, joints, *sides = given
            trunk = TrunkMaps(features, hidden, joints, joints[:, :1], joints, sides)
        last = self.network.above(given[0], trunk).stacks[-1]
        return last.heat, last.tags, *(() if last.field is None else (last.field,))


def _times(network: StackedHourglass) -> dict[str, float]:
    """Milliseconds by input side."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own age
        path = str(Path(folder) / "above.onnx")
        example = _inputs(network, 64)
        names = [f"x{k}" for k in range(len(example))]
        axes = {name: {2: f"{name}h", 3: f"{name}w"} for name in names}
        torch.onnx.export(
            _Above(network).eval(), example, path, input_names=names, dynamic_axes=axes,
            opset_version=17, dynamo=False,
        )  # fmt: skip
        session = cpu_session(path, threads=1)
    found = {}
    for side in SIDES:
        feed = dict(zip(names, (x.numpy() for x in _inputs(network, side)), strict=True))
        found[str(side)] = _median_ms(lambda feed=feed: session.run(None, feed))
    return found


def _inputs(network: StackedHourglass, side: int) -> tuple[Tensor, ...]:
    if network.trunk is None:
        return (torch.zeros(1, 3, side, side),)
    fine = ((TRUNK_CHANNELS, 4), (3 * HEAD_CHANNELS, 4), (network.config.joints, 4))
    sides = zip(MULTIPOSE.sides, (4, 8, 16, 32), strict=True)
    return tuple(torch.randn(1, c, side // s, side // s) for c, s in (*fine, *sides))


def _median_ms(work: Callable[[], object], times: int = 9) -> float:
    """Median processor time of one thread, after one run to warm up."""
    work()
    spent = []
    for _ in range(times):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return float(np.median(spent)) * 1e3


def _line(row: Row) -> str:
    times = " | ".join(f"{row.ms[str(side)]:.1f}" if row.ms else "" for side in SIDES)
    learned = " |  | "
    if row.outcome is not None:
        learned = f"{row.outcome.heat:.3f} | {row.outcome.total:.2f} | {row.outcome.found:.3f}"
    return f"| {row.table} | {row.name} | {row.parameters:,} | {times} | {learned} |"


if __name__ == "__main__":
    main()
