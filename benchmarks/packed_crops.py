"""Canvases packed with people's crops beside plain scaled photos and four photos in one.

python -m benchmarks.packed_crops [--quick] [--json FILE] [--steps N]

First what is on a canvas and what it costs to make, then what half of all pictures being of that
kind does to a short training, see `benchmarks.short_training`; the pictures measured on are views
of single photos, none trained on.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import torch

from models.hourglass import quadglass_s
from models.training.mix import Batch, Mix, MixSettings, TrainSet

from .machine import machine, machine_line
from .network import PEER, SETS
from .short_training import BATCH, Outcome, read_lessons, train_shortly

SIDE = 256  # of the canvases counted
LEARNED_SIDE = 128
ALL, HALF = 1e9, 1.0  # shares against those of the photo sets, which are one together
SETS_USED = tuple(TrainSet(f, share) for f, share in zip(SETS, (0.4, 0.2, 0.4), strict=True))
KINDS: dict[str, dict[str, Any]] = {
    "plain views": {},
    "four views in one": {"mosaic_share": 1.0},
    "packed, seams learned": {"packed_share": 1.0},
    "packed, two cells beside seams left out": {"packed_share": 1.0, "seam_cells": 2},
}


@dataclass(frozen=True, slots=True)
class Canvas:
    """Means of one kind of picture."""

    name: str
    people: float
    joints: float
    learned: float  # share of cells that say something
    blobs: float  # share of the maps' cells near a joint, in thousandths
    ms: float  # processor time to make one
    people_per_s: float  # of one core that only makes pictures


def main() -> None:
    """Count, train, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few pictures, 8 steps, for a look")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--steps", type=int, default=40, help="of each training")
    options = parser.parse_args()
    if not PEER.is_file():
        raise SystemExit(f"no {PEER}: this benchmark needs the shared photos and teachers")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    steps = 8 if options.quick else options.steps
    canvases = [_canvas(name, kind, 3 if options.quick else 12) for name, kind in KINDS.items()]
    print(f"| {SIDE} px | people | joints | cells learned | near a joint, ‰ | ms | people/s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for one in canvases:
        print(
            f"| {one.name} | {one.people:.1f} | {one.joints:.0f} | {one.learned:.2f} "
            f"| {one.blobs:.1f} | {one.ms:.1f} | {one.people_per_s:.0f} |"
        )
    print("\n| half of the pictures | heat | loss | joints found |\n| --- | --- | --- | --- |")
    outcomes: dict[str, Outcome] = {}
    for name, kind in KINDS.items():
        mix = _mix(kind, LEARNED_SIDE, HALF, seed=5)
        lessons = read_lessons(mix, SETS, steps, 10 if options.quick else 25, PEER)
        outcomes[name] = found = train_shortly(quadglass_s(), lessons, steps)
        print(f"| {name} | {found.heat:.3f} | {found.total:.2f} | {found.found:.3f} |", flush=True)
    of = machine()
    print(f"\n{steps} steps of {BATCH} pictures of {LEARNED_SIDE} px; {machine_line(of)}")
    if options.json is not None:
        figures = {
            "machine": of,
            "canvases": [asdict(one) for one in canvases],
            "outcomes": {name: asdict(found) for name, found in outcomes.items()},
        }
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _mix(kind: dict[str, Any], side: int, share: float, seed: int) -> MixSettings:
    shares = {k: v * share if k.endswith("_share") else v for k, v in kind.items()}
    return MixSettings(SETS_USED, sizes=((side, BATCH),), seed=seed, **shares)


def _canvas(name: str, kind: dict[str, Any], count: int) -> Canvas:
    stream = iter(Mix(_mix(kind, SIDE, ALL, seed=2)))
    next(stream)
    begun = time.process_time()
    batches: list[Batch] = list(islice(stream, count))
    ms = (time.process_time() - begun) * 1e3 / (count * BATCH)
    known = torch.cat([~b.cells[..., 0].isnan().flatten(0, 1) for b in batches])  # (B P, J)
    people = float(known.any(1).sum()) / (count * BATCH)
    return Canvas(
        name=name,
        people=people,
        joints=float(known.sum()) / (count * BATCH),
        learned=float(torch.cat([b.weight for b in batches]).gt(0.5).float().mean()),
        blobs=float(torch.cat([b.heat for b in batches]).gt(0.1).float().mean()) * 1e3,
        ms=ms,
        people_per_s=people * 1e3 / ms,
    )


if __name__ == "__main__":
    main()
