"""What each way of looking and decoding is worth, one at a time, on the held-out photos.

python -m benchmarks.decoding [--quick] [--json FILE] [--checkpoint FILE] [--side PX] [--only WORD]

Files exported from one checkpoint, one for each offset, since the way a peak gets its fraction of
a cell is inside the graph. The first row is what serving does. What a network says of a picture
is kept, so that rows which differ afterwards cost nothing.
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.candidates import Candidates
from models.grouping import DecodeSettings
from models.letterbox import whole_side
from models.looks import LookSettings, SeveralLooks
from models.predictor import OnnxPredictor
from models.sighting import Sighting
from models.training.checkpoint import load_network
from models.training.evaluation import Row, held_out, measure
from models.training.export import write_onnx
from models.training.peaks import OffsetName, PeakSettings

from .machine import machine, machine_line
from .network import SETS

U8: TypeAlias = NDArray[np.uint8]

START = Path(__file__).parents[1] / "models/weights/quadglass-m.start.ckpt"
SIDE = 384
DEFAULT = PeakSettings().offset


@dataclass(frozen=True, slots=True)
class Way:
    """One row."""

    name: str
    offset: OffsetName = DEFAULT
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    looks: LookSettings = field(default_factory=LookSettings)

    @property
    def cost(self) -> float:
        """Pixels looked at, relative to one look."""
        return (1 + self.looks.mirror) * sum(scale**2 for scale in self.looks.scales)


WAYS = (
    Way(f"one look, offset {DEFAULT}, all filled (default)"),
    *(Way(f"offset {name}", offset=name) for name in ("parabola", "quarter", "dark")),
    Way("filled: nothing", decode=DecodeSettings(fill="none")),
    Way("filled: weak peaks alone", decode=DecodeSettings(fill="peaks")),
    Way("looks: and the mirror image", looks=LookSettings(mirror=True)),
    Way("looks: and 2/3 of the size", looks=LookSettings(scales=(1.0, 2 / 3))),
    Way("looks: and 4/3 of the size", looks=LookSettings(scales=(1.0, 4 / 3))),
    Way(
        "looks: three sizes and mirror images",
        looks=LookSettings(mirror=True, scales=(1.0, 2 / 3, 4 / 3)),
    ),
)


class Remembering:
    """A file's predictor that looks at no picture twice: state, one answer a picture."""

    def __init__(self, weights: Path, side: int) -> None:
        self._predictor = OnnxPredictor(weights, input_side=side)
        self.name, self.sha256 = self._predictor.name, self._predictor.sha256
        self.skeleton, self.input_side = self._predictor.skeleton, self._predictor.input_side
        self._known: dict[bytes, Candidates] = {}

    def candidates(self, images: Sequence[U8]) -> list[Candidates]:
        """Peaks and tags of each picture."""
        return [self._of(image) for image in images]

    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]:
        """People of each picture, best first."""
        return self._predictor.predict(images)

    def _of(self, image: U8) -> Candidates:
        key = hashlib.sha256(image.tobytes()).digest()
        if key not in self._known:
            (self._known[key],) = self._predictor.candidates([image])
        return self._known[key]


class Files:
    """Exports each offset once, and keeps one predictor of each size."""

    def __init__(self, checkpoint: Path, folder: Path) -> None:
        self._network, self._folder = load_network(checkpoint), folder
        self._predictors: dict[tuple[OffsetName, int], Remembering] = {}

    def predictor(self, offset: OffsetName, side: int) -> Remembering:
        """For pictures of that size."""
        path = self._folder / f"{offset}.onnx"
        if not path.is_file():
            write_onnx(self._network, path, SIDE, PeakSettings(offset=offset), "")
        key = (offset, side)
        if key not in self._predictors:
            self._predictors[key] = Remembering(path, side)
        return self._predictors[key]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="25 photos of each set")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--checkpoint", type=Path, default=START)
    parser.add_argument("--side", type=int, default=SIDE, help="longer side, px")
    parser.add_argument("--only", help="the default and rows whose name has this word")
    options = parser.parse_args()
    if not SETS[0].is_dir():
        raise SystemExit(f"no {SETS[0]}: this benchmark needs the shared photos")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    photos = held_out(SETS, False, 25 if options.quick else None)
    ways = [way for way in WAYS if way is WAYS[0] or (options.only or "") in way.name]
    print("| way | pixels | AP | 95 % | AR | PCK@0.2 | PCKh@0.5 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = Files(options.checkpoint, Path(folder))
        for way in ways:
            sides = [whole_side(options.side * scale) for scale in way.looks.scales]
            finders = [files.predictor(way.offset, side) for side in sides]
            looks = SeveralLooks(finders, mirror=way.looks.mirror, settings=way.decode)
            row = measure(way.name, options.side, photos, looks, way.decode, draws=200)
            rows[way.name] = row
            print(
                f"| {way.name} | {way.cost:.1f} | {row.ap:.3f} | {row.ap_low:.3f} to "
                f"{row.ap_high:.3f} | {row.ar:.3f} | {row.pck:.3f} | {row.pckh:.3f} |",
                flush=True,
            )
    of = machine()
    print(
        f"\n{len(photos)} photos; {options.checkpoint.name}, {options.side} px; {machine_line(of)}"
    )
    if options.json is not None:
        figures = {"machine": of, "rows": {name: asdict(row) for name, row in rows.items()}}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
