"""More labels from MoveNet Thunder, kept only where it agrees with its own mirror image.

Thunder sees one person at a time, cut out by a box, and far better than a network that looks at
whole pictures. Two uses: people that a set knows only by their box, and people labelled by hand
whom the teacher contradicts when they are upside down. Turned upright by their own torso, most of
those labels prove right.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import BadTrainingData
from ..skeleton import COCO17
from .frozen import cpu_session
from .photos import is_held_out, read_photos

__all__ = ["RelabelReport", "Thunder", "relabel"]

F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]

_SIDE = 256  # px, Thunder's input
_GROWN = 1.15  # a box is cut out with some of what surrounds it
# Measured with hand labels beside: of the joints kept, 92 % have a similarity above 0.5.
_LEAST_SCORE = 0.25  # of a joint, on the picture and on its mirror image
_LEAST_AGREEMENT = 0.06  # of the box, largest distance between the two
_LEAST_JOINTS = 6
_LEAST_TORSO_SCORE = 0.3
_SURE_AGREEMENT = 0.5  # of hand labels; below it a person is looked at again, upright
_FACE = 5  # the first joints are those that the hand labels lack
_TORSO = [5, 6, 11, 12]
_FLIP = list(COCO17.flip_order)
_SIGMAS = np.asarray(COCO17.oks_sigmas)


@dataclass(frozen=True, slots=True)
class RelabelReport:
    """What a second look at a set brought."""

    annotations: Path
    people_added: int  # known by their box alone before
    people_confirmed: int  # contradicted before, in agreement when seen upright
    people_contradicted: int  # still


class Thunder:
    """Holds a session on ``movenet-thunder.onnx``."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = cpu_session(str(path), threads)
        self._input = self._session.get_inputs()[0].name

    def label(self, image: U8, box: F64, turn_deg: float = 0.0) -> F64:
        """(17, 3) x, y and score of the person in a box; score 0 where the mirror disagrees.

        Args:
            image: (H, W, 3) BGR.
            box: (4,) left, top, width, height.
            turn_deg: what the picture is turned by first, counter-clockwise, about the box.
        """
        side = float(max(box[2:])) * _GROWN
        middle = box[:2] + box[2:] / 2
        pivot = (float(middle[0]), float(middle[1]))
        turn = cv2.getRotationMatrix2D(pivot, turn_deg, _SIDE / side)
        view = np.asarray(turn, dtype=np.float64)
        view[:, 2] += _SIDE / 2 - middle
        seen = cv2.warpAffine(image, view, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR)
        plain, mirror = self._look(seen), self._look(seen[:, ::-1])
        mirror[:, 0] = _SIDE - mirror[:, 0]
        mirror = mirror[_FLIP]
        apart = np.linalg.norm(plain[:, :2] - mirror[:, :2], axis=1) * _GROWN / _SIDE
        scores = np.minimum(plain[:, 2], mirror[:, 2])
        joints = (plain + mirror) / 2
        back = np.linalg.inv(np.vstack([view, [0, 0, 1]]))[:2]
        joints[:, :2] = joints[:, :2] @ back[:, :2].T + back[:, 2]
        joints[:, 2] = np.where((scores > _LEAST_SCORE) & (apart < _LEAST_AGREEMENT), scores, 0)
        return joints

    def _look(self, picture: Any) -> F64:
        """(17, 3) x, y in px of the cut-out and score."""
        rgb = np.ascontiguousarray(picture[None, :, :, ::-1]).astype(np.int32)
        rows = np.asarray(self._session.run(None, {self._input: rgb})[0], np.float64)[0, 0]
        return np.column_stack([rows[:, 1] * _SIDE, rows[:, 0] * _SIDE, rows[:, 2]])


def relabel(folder: Path, output: Path, thunder: Thunder) -> RelabelReport:
    """Write a set's annotations anew with what the teacher adds; held-out photos stay as they are.

    Args:
        folder: in COCO format, one person of each photo labelled by hand.
        output: folder of the same name elsewhere; its ``images`` become a link.
        thunder: the teacher.

    Raises:
        BadTrainingData: the set cannot be read, or the output would be it.
    """
    if output.resolve() == folder.resolve() or output.name != folder.name:
        raise BadTrainingData(f"{output} must be another folder that is called {folder.name} too")
    kept_out = {photo.key for photo in read_photos(folder) if is_held_out(folder, photo)}
    stored = json.loads((folder / "person_keypoints.json").read_text(encoding="utf-8"))
    photos = {image["id"]: image for image in stored["images"]}
    added: list[dict[str, Any]] = []
    confirmed = contradicted = 0
    number = max(annotation["id"] for annotation in stored["annotations"])
    for annotation in stored["annotations"]:
        photo = photos[annotation["image_id"]]
        doubtful = annotation.get("teacher_agreement", 1.0) < _SURE_AGREEMENT
        if photo["id"] in kept_out or not (doubtful or photo.get("other_people")):
            continue
        image = cv2.imread(str(folder / photo["file_name"]))
        if image is None:
            raise BadTrainingData(f"cannot read the image {folder / photo['file_name']}")
        if doubtful:
            right = _look_again(annotation, np.asarray(image, np.uint8), thunder)
            confirmed, contradicted = confirmed + right, contradicted + (not right)
        left_over = []
        for other in photo.get("other_people", ()):
            found = thunder.label(np.asarray(image, np.uint8), np.asarray(other[:4], np.float64))
            known = found[:, 2] > 0
            sure = found[_TORSO, 2].mean() > _LEAST_TORSO_SCORE
            apart = _similarity(np.asarray(annotation["keypoints"]).reshape(-1, 3), found)
            if known.sum() < _LEAST_JOINTS or not sure or apart > _SURE_AGREEMENT:
                left_over.append(other)
                continue
            number += 1
            added.append(_annotation(number, photo["id"], other, found))
        photo["other_people"] = left_over
    stored["annotations"] += added
    output.mkdir(parents=True, exist_ok=True)
    if not (output / "images").exists():
        (output / "images").symlink_to((folder / "images").resolve())
    path = output / "person_keypoints.json"
    path.write_text(json.dumps(stored), encoding="utf-8")
    return RelabelReport(path, len(added), confirmed, contradicted)


def _look_again(annotation: dict[str, Any], image: U8, thunder: Thunder) -> bool:
    """Whether the teacher agrees once the person stands upright; then its face is taken too."""
    joints = np.asarray(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
    if not (joints[_TORSO, 2] > 0).all():
        return False
    up = joints[[5, 6], :2].mean(0) - joints[[11, 12], :2].mean(0)
    # Picture axes: x right, y down; upright is (0, -1). OpenCV turns counter-clockwise as seen.
    turn_deg = float(np.degrees(np.arctan2(up[0], -up[1])))
    found = thunder.label(image, np.asarray(annotation["bbox"], np.float64), turn_deg)
    agreement = max(_similarity(joints, found), float(annotation["teacher_agreement"]))
    annotation["teacher_agreement"] = round(agreement, 3)
    if agreement < _SURE_AGREEMENT:
        return False
    face = (joints[:_FACE, 2] == 0) & (found[:_FACE, 2] > 0)
    joints[:_FACE][face] = np.column_stack([found[:_FACE, :2], np.full(_FACE, 2.0)])[face]
    annotation["keypoints"] = np.round(joints, 1).ravel().tolist()
    return True


def _similarity(labels: F64, found: F64) -> float:
    """COCO's keypoint similarity over the limbs that both know; 0 where they are fewer than four.

    Args:
        labels: (17, 3) by hand.
        found: (17, 3) the teacher's.
    """
    known = (labels[:, 2] > 0) & (found[:, 2] > 0)
    known[:_FACE] = False
    if known.sum() < 4:
        return 0.0
    extent = np.ptp(labels[labels[:, 2] > 0, :2], axis=0)
    area = float(np.prod(np.maximum(extent, 1.0)))
    apart = ((labels[known, :2] - found[known, :2]) ** 2).sum(1)
    return float(np.exp(-apart / (2 * area * (2 * _SIGMAS[known]) ** 2)).mean())


def _annotation(number: int, photo: int, box: list[float], found: F64) -> dict[str, Any]:
    known = found[:, 2] > 0
    rows = np.where(known[:, None], np.column_stack([found[:, :2], np.full(len(found), 2.0)]), 0)
    return {
        "id": number,
        "image_id": photo,
        "category_id": 1,
        "iscrowd": 0,
        "keypoints": np.round(rows, 1).ravel().tolist(),
        "num_keypoints": int(known.sum()),
        "bbox": box[:4],
        "area": 0.6 * box[2] * box[3],
        "source": "teacher",
    }
