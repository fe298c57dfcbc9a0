"""The one person of the Balancing take, found in its videos, against its OpenPose joints.

python -m benchmarks.footage [--quick] [--json FILE] [--weights FILE]

Every fifth frame of four cameras. The subject is OpenPose's tallest person; a limb joint is found
where we give one at all, and right within 0.2 of the subject's torso. A false person is one that
shares no place with any of OpenPose's people. Reads ../shared/data/pose2sim-balancing.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from models.predictor import OnnxPredictor, Predictor
from models.sighting import Sighting
from models.training.rivals import MultiPose
from models.weights import default_weights

from .machine import machine, machine_line

F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]

SHARED = Path(__file__).parents[1] / "../shared"
TAKE = SHARED / "data/pose2sim-balancing"
PEER = SHARED / "train/teachers/movenet-multipose.onnx"
SIDES = (256, 384, 512)
# OpenPose's pixels are 1088 x 1920; two of the videos are 1080 wide, see the take's own page.
_WIDER, _HIGHER_PX = 1.0075, -7.3
_LIMBS = slice(5, 17)  # BODY_25B begins with COCO's 17 joints
_TORSO_SHARE = 0.2
_LEAST_SCORE = 0.2  # of an OpenPose joint


@dataclass(frozen=True, slots=True)
class View:
    """One frame of one camera."""

    image: U8
    subject: F64  # (17, 2) of OpenPose, NaN where unsure
    boxes: F64  # (P, 4) left, top, right, bottom of all its people
    wider: bool  # the picture is 1088 px wide already


@dataclass(frozen=True, slots=True)
class Row:
    """One network at one size."""

    name: str
    input_side: int
    found: float  # share of the subject's limb joints
    right: float  # of these within a fifth of the torso
    median_px: float
    mean_px: float
    false_people: float  # a picture


def main() -> None:
    """Look and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every twentieth frame")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--weights", type=Path, help="other weights than the packaged ones")
    options = parser.parse_args()
    if not TAKE.is_dir() or not PEER.is_file():
        raise SystemExit(f"no {TAKE} or {PEER}: this benchmark needs the shared data")
    cv2.setNumThreads(1)
    weights = options.weights or default_weights()
    views = list(_views(20 if options.quick else 5))
    rows = []
    for side in SIDES:
        rows.append(judged(weights.stem, side, views, OnnxPredictor(weights, input_side=side)))
        rows.append(judged(PEER.stem, side, views, MultiPose(PEER, side)))
    of = machine()
    print(f"{len(views)} pictures of 1088 x 1920\n\n{_table(rows)}\n\n{machine_line(of)}")
    if options.json is not None:
        figures = {"machine": of, "pictures": len(views), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def judged(name: str, side: int, views: Sequence[View], finder: Predictor | MultiPose) -> Row:
    """One network's people against OpenPose's."""
    apart: list[float] = []
    right = total = false = 0
    for view in views:
        people = [_calibrated(person, view) for person in finder.predict([view.image])[0]]
        torso = np.linalg.norm(view.subject[[5, 6]].mean(0) - view.subject[[11, 12]].mean(0))
        known = ~np.isnan(view.subject[_LIMBS, 0])
        total += int(known.sum())
        off = [np.linalg.norm(place - view.subject, axis=1)[_LIMBS][known] for place in people]
        # The subject is whoever lies nearest, by the joints that were found.
        off = [row for row in off if not np.isnan(row).all()]
        if off:
            best = min(off, key=lambda row: float(np.nanmedian(row)))
            best = best[~np.isnan(best)]
            apart += best.tolist()
            right += int((best < _TORSO_SHARE * torso).sum())
        false += sum(not _meets(place, view.boxes) for place in people)
    return Row(
        name,
        side,
        found=len(apart) / total,
        right=right / max(len(apart), 1),
        median_px=float(np.median(apart)),
        mean_px=float(np.mean(apart)),
        false_people=false / len(views),
    )


def _views(step: int) -> Iterator[View]:
    for path in sorted((TAKE / "videos").glob("*.mp4")):
        video = cv2.VideoCapture(str(path))
        files = sorted((TAKE / "pose2d" / path.stem).glob("*.json"))
        for index, file in enumerate(files):
            there, image = video.read()
            assert there, f"{path} ends before its {len(files)} frames"
            if index % step == 0:
                people = json.loads(file.read_text(encoding="utf-8"))["people"]
                yield _view(np.asarray(image, dtype=np.uint8), people)
        video.release()


def _view(image: U8, people: Sequence[dict[str, Any]]) -> View:
    poses = np.stack(
        [np.asarray(one["pose_keypoints_2d"], dtype=np.float64).reshape(-1, 3) for one in people]
    )[:, :17]
    places = np.where(poses[..., 2:] > _LEAST_SCORE, poses[..., :2], np.nan)  # (P, 17, 2)
    low, high = np.nanmin(places, axis=1), np.nanmax(places, axis=1)
    subject = places[int(np.argmax((high - low)[:, 1]))]
    return View(image, subject, np.concatenate([low, high], axis=1), image.shape[1] == 1088)


def _calibrated(person: Sighting, view: View) -> F64:
    """(17, 2) in OpenPose's pixels."""
    if view.wider:
        return person.joints_px
    return person.joints_px * _WIDER + np.asarray([0.0, _HIGHER_PX])


def _meets(joints_px: F64, boxes: F64) -> bool:
    """Whether half of someone's joints lie in the box of one of OpenPose's people."""
    place = joints_px[~np.isnan(joints_px[:, 0])]
    inside = (place[None] >= boxes[:, None, :2]) & (place[None] <= boxes[:, None, 2:])
    return bool((inside.all(2).mean(1) >= 0.5).any())


def _table(rows: Sequence[Row]) -> str:
    lines = [
        "| network | longer side | limb joints found | right | median px | mean px "
        "| false people a picture |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.name} | {row.input_side} | {row.found:.3f} | {row.right:.3f} "
        f"| {row.median_px:.1f} | {row.mean_px:.1f} | {row.false_people:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
