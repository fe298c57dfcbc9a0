"""Whose joint is whose in overlapping crowds at every input size, MoveNet MultiPose beside us.

python -m benchmarks.grouping [--quick] [--json FILE] [--weights FILE]

Crowds of two to six overlapping people are rendered here with motions and backgrounds that no
training crowd is rendered from, all joints known. *With the right person*: of the joints that lie
on somebody's true joint (within a tenth of that person's height), the share that lies on a joint
of the person it was given to; *the nearer* gives a joint that lies on two people's to the nearer.
Needs the package `anny` and ../shared beside the repository.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from models.predictor import OnnxPredictor
from models.sighting import Sighting
from models.training.identity import Belonging, belonging
from models.training.rivals import MultiPose
from models.weights import default_weights

from .crowds import SHARED, Crowd, held_out_crowds
from .machine import machine, machine_line

U8: TypeAlias = NDArray[np.uint8]
Find: TypeAlias = Callable[[Sequence[U8]], list[list[Sighting]]]

SIDES = (256, 320, 384, 448, 512)
PEER = SHARED / "train/teachers/movenet-multipose.onnx"
CROWDS = 80


@dataclass(frozen=True, slots=True)
class Row:
    """One network at one size."""

    name: str
    input_side: int
    right_share: float  # of the found joints with the right person
    nearest_share: float  # the same where a joint on two people's belongs to the nearer
    found_joints: int
    people: int  # that were found


def main() -> None:
    """Render, look and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="12 crowds at the smallest and largest"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--weights", type=Path, help="other weights than the packaged ones")
    options = parser.parse_args()
    if not PEER.is_file():
        raise SystemExit(f"no {PEER}: this benchmark needs the shared motions and teachers")
    cv2.setNumThreads(1)
    weights = options.weights or default_weights()
    crowds = held_out_crowds(12 if options.quick else CROWDS)
    rows = []
    for side in (SIDES[0], SIDES[-1]) if options.quick else SIDES:
        ours = OnnxPredictor(weights, input_side=side)
        rows.append(judged(weights.stem, side, crowds, ours.predict))
        rows.append(judged(PEER.stem, side, crowds, MultiPose(PEER, side).predict))
    true_people = sum(len(crowd.people) for crowd in crowds)
    labelled = sum(crowd.labelled for crowd in crowds)
    of = machine()
    print(f"{len(crowds)} crowds, {true_people} people, {labelled} joints not hidden by others\n")
    print(_table(rows))
    print(f"\n{machine_line(of)}")
    if options.json is not None:
        counts = {"crowds": len(crowds), "people": true_people, "joints": labelled}
        figures = {"machine": of, **counts, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def judged(name: str, side: int, crowds: Sequence[Crowd], find: Find) -> Row:
    """One network's people against the true ones."""
    total, people = Belonging(0, 0, 0), 0
    for crowd in crowds:
        found = find([crowd.image])[0]
        total += belonging(crowd.people, found)
        people += len(found)
    return Row(name, side, total.share, total.strict_share, total.found, people)


def _table(rows: Sequence[Row]) -> str:
    lines = [
        "| network | longer side | with the right person | the nearer | joints found | people |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.name} | {row.input_side} | {row.right_share:.3f} | {row.nearest_share:.3f} "
        f"| {row.found_joints} | {row.people} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
