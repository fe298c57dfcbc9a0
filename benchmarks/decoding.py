"""What each way of looking and decoding is worth, one at a time, on the held-out photos.

python -m benchmarks.decoding [--quick] [--json FILE] [--checkpoint FILE] [--side PX]

All rows are of one checkpoint in PyTorch, because the way a peak gets its fraction of a cell is
part of an exported file. The first row is what serving does.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import torch

from models.grouping import DecodeSettings
from models.looks import LookSettings
from models.training.evaluation import EvaluateSettings, Row, evaluate

from .machine import machine, machine_line
from .network import SETS

START = Path(__file__).parents[1] / "models/weights/quadglass-m.start.ckpt"
SIDE = 384


def variants(settings: EvaluateSettings) -> dict[str, EvaluateSettings]:
    """What is measured, by the name in the table."""
    none, peaks = DecodeSettings(fill="none"), DecodeSettings(fill="peaks")
    return {
        "one look, parabola, all filled (default)": settings,
        "offset a quarter of a cell": replace(settings, offset="quarter"),
        "offset by DARK": replace(settings, offset="dark"),
        "nothing filled": replace(settings, decode=none),
        "filled by weak peaks alone": replace(settings, decode=peaks),
        "and the mirror image": replace(settings, looks=LookSettings(mirror=True)),
        "and 2/3 of the size": replace(settings, looks=LookSettings(scales=(1.0, 2 / 3))),
        "and 4/3 of the size": replace(settings, looks=LookSettings(scales=(1.0, 4 / 3))),
        "both sizes and mirror images": replace(
            settings, looks=LookSettings(mirror=True, scales=(1.0, 2 / 3, 4 / 3))
        ),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="25 photos of each set")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--checkpoint", type=Path, default=START)
    parser.add_argument("--side", type=int, default=SIDE, help="longer side, px")
    options = parser.parse_args()
    if not SETS[0].is_dir():
        raise SystemExit(f"no {SETS[0]}: this benchmark needs the shared photos")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    most = 25 if options.quick else None
    given = EvaluateSettings(options.checkpoint, SETS, (options.side,), most_photos=most)
    print("| way | AP | 95 % | AR | PCK@0.2 | PCKh@0.5 | ms of PyTorch |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    rows: dict[str, Row] = {}
    for name, settings in variants(given).items():
        rows[name] = row = evaluate(settings).rows[0]
        print(
            f"| {name} | {row.ap:.3f} | {row.ap_low:.3f} to {row.ap_high:.3f} | {row.ar:.3f} "
            f"| {row.pck:.3f} | {row.pckh:.3f} | {row.ms_per_image:.0f} |",
            flush=True,
        )
    of = machine()
    print(f"\n{options.checkpoint.name}, {options.side} px; {machine_line(of)}")
    if options.json is not None:
        figures = {"machine": of, "rows": {name: asdict(row) for name, row in rows.items()}}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
