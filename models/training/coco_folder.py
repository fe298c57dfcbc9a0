"""Any folder of photos with COCO keypoint annotations, for measuring.

Our own sets hold ``person_keypoints.json`` and say more (:mod:`.photos`). Others put the file
elsewhere, keep the photos beside it or in a folder of their own, and may name fewer joints, or
joints we do not find.
"""

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import BadTrainingData
from ..skeleton import COCO17
from .photos import LabelledPerson, Photo, read_photos

__all__ = ["read_labelled"]

F64: TypeAlias = NDArray[np.float64]

_OURS = "person_keypoints.json"
# Area of a person over that of the box, where none is given: COCO's people's mean.
_AREA_OVER_BOX = 0.53


def read_labelled(folder: Path) -> list[Photo]:
    """Photos of a folder with their labelled people.

    Args:
        folder: in COCO format; its annotation file may lie in it or in ``annotations``, the
            photos in it or in any folder below. With several files give the one to use.

    Raises:
        BadTrainingData: no annotation file or several, not COCO keypoints, or a photo is missing.
    """
    if (folder / _OURS).is_file():
        return read_photos(folder)
    file = folder if folder.is_file() else _annotation_file(folder)
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        places = _places(stored["categories"])
        people: dict[int, list[LabelledPerson]] = {}
        for item in stored["annotations"]:
            if item.get("keypoints") and not item.get("iscrowd"):
                people.setdefault(int(item["image_id"]), []).append(_person(item, places))
        photos = [
            Photo(
                path=_photo_file(file, image["file_name"]),
                key=int(image["id"]),
                size_px=(int(image["width"]), int(image["height"])),
                people=tuple(people[int(image["id"])]),
                others_px=np.zeros((0, 4)),
                sole=False,
                mask_path=None,
            )
            for image in stored["images"]
            if int(image["id"]) in people
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, BadTrainingData):
            raise
        raise BadTrainingData(f"{file} is not COCO keypoints ({error!r}); check it") from error
    if not photos:
        raise BadTrainingData(f"{file} has no image with people; give another set")
    return photos


def _annotation_file(folder: Path) -> Path:
    """The only JSON file of a folder that has images, annotations and categories."""
    files = sorted([*folder.glob("*.json"), *folder.glob("annotations/*.json")])
    fitting = [file for file in files if _is_coco(file)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(file.name for file in fitting) or "none"
    raise BadTrainingData(
        f"{folder} needs one COCO keypoint file, {_OURS} or another; it has: {names}"
        + ("; name the file instead of the folder" if fitting else "")
    )


def _is_coco(file: Path) -> bool:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(stored, dict) and {"images", "annotations", "categories"} <= set(stored)


def _places(categories: list[dict[str, Any]]) -> dict[int, int]:
    """Which of their joints is which of ours."""
    names = next(category["keypoints"] for category in categories if category.get("keypoints"))
    places = {index: COCO17.joints.index(n) for index, n in enumerate(names) if n in COCO17.joints}
    if not places:
        raise BadTrainingData(f"none of its joints ({', '.join(names)}) is a joint of ours")
    return places


def _person(item: dict[str, Any], places: dict[int, int]) -> LabelledPerson:
    theirs = np.asarray(item["keypoints"], dtype=np.float64).reshape(-1, 3)
    joints = np.zeros((len(COCO17.joints), 3))
    joints[list(places.values())] = theirs[list(places)]
    left, top, width, height = (float(value) for value in item["bbox"])
    area = float(item.get("area", _AREA_OVER_BOX * width * height))
    box = np.asarray([left, top, left + width, top + height])
    return LabelledPerson(joints, box, area, source="human", mask_value=0)


def _photo_file(annotations: Path, name: str) -> Path:
    """A photo beside its annotations, above them, or in any folder there.

    Raises:
        BadTrainingData: it is nowhere.
    """
    tops = [annotations.parent]
    if annotations.parent.name == "annotations":
        tops.append(annotations.parent.parent)
    for top in tops:
        near = [top / name, top / "images" / name, *top.glob(f"*/{Path(name).name}")]
        for path in near:
            if path.is_file():
                return path
    raise BadTrainingData(f"{annotations} names {name}, which is not near it; put the photos there")
