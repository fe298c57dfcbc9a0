"""Labelled photos on disk, read from COCO keypoint files with the marks our own sets add.

A joint with v = 0 is *not labelled*, never absent. A person without any labelled joint still has
a box, inside which nothing may be learned. A set that labels one person a photo lists the boxes
of others it knows of (``other_people``); outside the labelled person nothing there is certain.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import BadTrainingData
from ..skeleton import COCO17

__all__ = ["LabelledPerson", "Photo", "is_held_out", "read_backgrounds", "read_photos"]

F64: TypeAlias = NDArray[np.float64]

_ANNOTATIONS = "person_keypoints.json"
# Below this the teacher disagrees with the human labels: a wrong label, or left and right swapped.
_LEAST_AGREEMENT = 0.25
_HELD_OUT_ONE_IN = {"coco128": 4, "pennfudan": 8, "lspet": 20}


@dataclass(frozen=True, slots=True)
class LabelledPerson:
    """One person of a photo."""

    joints: F64  # (17, 3) x, y in px and COCO's visibility; 0 is not labelled
    box_px: F64  # (4,) left, top, right, bottom
    area_px2: float
    source: str  # who made the labels
    mask_value: int  # of this person in the photo's mask file, 0 if there is none
    head_px: float = float("nan")  # from the neck to the top of the head, where both are labelled

    @property
    def labelled(self) -> bool:
        """Whether any joint is."""
        return bool((self.joints[:, 2] > 0).any())


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo and what is known of the people in it."""

    path: Path
    key: int  # image id
    size_px: tuple[int, int]
    people: tuple[LabelledPerson, ...]
    others_px: F64  # (N, 4) left, top, right, bottom of people without labels
    sole: bool  # one person is labelled and others may be anywhere outside
    mask_path: Path | None


def read_photos(folder: Path) -> list[Photo]:
    """All photos of a set that can be learned from or measured on.

    Args:
        folder: holds ``person_keypoints.json`` and the files it names.

    Raises:
        BadTrainingData: the file is missing, is not COCO keypoints, or names no image.
    """
    path = folder / _ANNOTATIONS
    if not path.is_file():
        raise BadTrainingData(f"no {_ANNOTATIONS} in {folder}; give a folder in COCO format")
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        people: dict[int, list[dict[str, Any]]] = {}
        for annotation in stored["annotations"]:
            people.setdefault(int(annotation["image_id"]), []).append(annotation)
        photos = [
            _photo(folder, image, people.get(int(image["id"]), [])) for image in stored["images"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise BadTrainingData(
            f"{path} is not COCO keypoints ({error!r}); check the file"
        ) from error
    photos = [photo for photo in photos if photo.people]
    if not photos:
        raise BadTrainingData(f"{path} has no image with people; give another set")
    return photos


def read_backgrounds(folder: Path) -> list[Path]:
    """Photos without people, possibly none."""
    return sorted((folder / "images").glob("*.jpg"))


def is_held_out(folder: Path, photo: Photo) -> bool:
    """Whether a photo is kept for measuring and never trained on.

    By image, so it stays the same when a set grows: every n-th of a set we know, and all photos
    of ``coco128`` with labels by hand.
    """
    every = _HELD_OUT_ONE_IN.get(folder.name)
    if every is None:
        return False
    by_hand = any(person.source == "human" for person in photo.people)
    return photo.key % every == 0 or (folder.name == "coco128" and by_hand)


def _photo(folder: Path, image: dict[str, Any], annotations: list[dict[str, Any]]) -> Photo:
    others = [other[:4] for other in image.get("other_people", ())]
    # Somebody is there, whatever the labels say.
    others += [item["bbox"] for item in annotations if not _trusted(item)]
    mask = image.get("mask_file")
    return Photo(
        path=folder / image["file_name"],
        key=int(image["id"]),
        size_px=(int(image["width"]), int(image["height"])),
        people=tuple(_person(item) for item in annotations if _trusted(item)),
        others_px=_corners(np.asarray(others, dtype=np.float64).reshape(-1, 4)),
        sole="other_people" in image,
        mask_path=folder / mask if mask else None,
    )


def _trusted(annotation: dict[str, Any]) -> bool:
    agreement: float = annotation.get("teacher_agreement", 1.0)
    return agreement >= _LEAST_AGREEMENT


def _person(annotation: dict[str, Any]) -> LabelledPerson:
    joints = np.asarray(annotation["keypoints"], dtype=np.float64)
    box = np.asarray(annotation["bbox"], dtype=np.float64)
    return LabelledPerson(
        joints=joints.reshape(len(COCO17.joints), 3),
        box_px=_corners(box[None])[0],
        area_px2=float(annotation.get("area", box[2] * box[3])),
        source=str(annotation.get("source", "human" if "neck_headtop" not in annotation else "")),
        mask_value=int(annotation.get("mask_value", 0)),
        head_px=_head(annotation.get("neck_headtop")),
    )


def _head(neck_headtop: list[list[float]] | None) -> float:
    """Its length, NaN where not both ends are labelled."""
    if neck_headtop is None or min(end[2] for end in neck_headtop) <= 0:
        return float("nan")
    (x, y, _), (x_top, y_top, _) = neck_headtop
    return float(np.hypot(x_top - x, y_top - y))


def _corners(boxes: F64) -> F64:
    """(N, 4) left, top, width, height -> left, top, right, bottom."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
