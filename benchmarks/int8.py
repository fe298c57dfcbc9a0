"""Eight bits beside float: accuracy on the held-out photos and time of one core.

python -m benchmarks.int8 [--quick] [--json FILE] [--weights FILE]

Calibrated on 24 photos that training uses and nothing is measured on. Heads stay in float.
"""

import argparse
import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import cv2

from models.training.evaluation import EvaluateSettings, evaluate
from models.training.int8 import Int8Settings, to_int8
from models.training.photos import is_held_out, read_photos
from models.weights import default_weights

from .machine import machine, machine_line
from .network import SETS

SIDES = (256, 384)
PHOTOS = 24


def main() -> None:
    """Quantize, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="12 photos of each set")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--weights", type=Path, help="other weights than the packaged ones")
    options = parser.parse_args()
    if not SETS[0].is_dir():
        raise SystemExit(f"no {SETS[0]}: this benchmark needs the shared photos")
    cv2.setNumThreads(1)
    weights = options.weights or default_weights()
    learned = [p.path for p in read_photos(SETS[0]) if not is_held_out(SETS[0], p)]
    most = 12 if options.quick else None
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        base = Int8Settings(weights, Path(folder) / "x.onnx", tuple(learned[:PHOTOS]), SIDES[0])
        files = {"float": weights}
        for name, changed in {
            "int8: convolutions": replace(base, operators=("Conv",)),
            "int8: and what lies between": base,
            "int8: 1x1 and 3x3, depthwise in float": replace(
                base, operators=("Conv",), keep_float=(*base.keep_float, "/depthwise/")
            ),
        }.items():
            path = Path(folder) / f"{len(files)}.onnx"
            files[name] = to_int8(replace(changed, output=path))
        print("| weights | longer side | AP | PCK@0.2 | ms | MB |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name, path in files.items():
            given = EvaluateSettings(path, SETS, SIDES, most_photos=most, draws=0)
            size = path.stat().st_size / 1e6
            for row in evaluate(given).rows:
                rows.append({**asdict(row), "name": name, "megabytes": size})
                print(
                    f"| {name} | {row.input_side} | {row.ap:.3f} | {row.pck:.3f} "
                    f"| {row.ms_per_image:.1f} | {size:.1f} |",
                    flush=True,
                )
    of = machine()
    print(f"\n{machine_line(of)}")
    if options.json is not None:
        figures = {"machine": of, "rows": rows}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
