"""How good found people are against labelled ones."""

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment

from ..candidates import Candidates
from ..sighting import Sighting
from ..skeleton import COCO17
from .intervals import ap_interval
from .photos import LabelledPerson, Photo

__all__ = ["Precision", "average_precision", "oracle_groups", "pck", "pckh"]

F64: TypeAlias = NDArray[np.float64]

PCK_TORSOS = 0.2
PCKH_HEADS = 0.5
_FIRST_LIMB = 5  # before it are the face joints, which LSP does not label by hand
_LEFT_SHOULDER, _RIGHT_SHOULDER, _LEFT_HIP, _RIGHT_HIP = 5, 6, 11, 12
# The oracle gives a labelled person the peak it would have chosen: within 0.3 of its size.
_ORACLE_REACH = 0.3
_ORACLE_SPREAD = 0.1
_ORACLE_LEAST_SCORE = 0.05


@dataclass(frozen=True, slots=True)
class Precision:
    """COCO's keypoint figures."""

    ap: float
    ap50: float
    ar: float
    ap_low: float = float("nan")  # of the 95 % interval over photos drawn again
    ap_high: float = float("nan")


def average_precision(
    photos: Sequence[Photo], people: Sequence[Sequence[Sighting]], *, draws: int = 0
) -> Precision:
    """COCO's average precision and recall over OKS 0.50 to 0.95, by pycocotools.

    Args:
        photos: with labels; people without labelled joints are ignored, as in COCO.
        people: found in each photo.
        draws: how often photos are drawn again for the interval; 0 leaves it NaN.
    """
    truth: dict[str, Any] = {
        "info": {},
        "images": [{"id": index} for index in range(len(photos))],
        "annotations": [],
        "categories": [{"id": 1, "name": "person"}],
    }
    for index, photo in enumerate(photos):
        for person in photo.people:
            width, height = person.box_px[2:] - person.box_px[:2]
            annotation = {
                "id": len(truth["annotations"]) + 1,
                "image_id": index,
                "category_id": 1,
                "iscrowd": 0,
                "keypoints": person.joints.ravel().tolist(),
                "num_keypoints": int((person.joints[:, 2] > 0).sum()),
                "bbox": [*person.box_px[:2].tolist(), float(width), float(height)],
                "area": person.area_px2,
            }
            truth["annotations"].append(annotation)
    found = [
        {
            "image_id": index,
            "category_id": 1,
            "keypoints": _keypoints(person).ravel().tolist(),
            "score": person.score,
        }
        for index, photo_people in enumerate(people)
        for person in photo_people
    ]
    if not found:
        return Precision(0.0, 0.0, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # it reports by printing
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = evaluation.stats
    low, high = ap_interval(evaluation.evalImgs, len(photos), draws)
    return Precision(float(stats[0]), float(stats[1]), float(stats[5]), low, high)


def pck(photos: Sequence[Photo], people: Sequence[Sequence[Sighting]]) -> float:
    """Share of labelled limb joints found within 0.2 torso by the person that fits best.

    Args:
        photos: each person with a labelled shoulder and hip is counted.
        people: found in each photo.

    Returns:
        0 to 1, 0 where nobody is labelled so.
    """
    share = _within(photos, people, lambda person: PCK_TORSOS * _torso(person.joints))
    return 0.0 if np.isnan(share) else share


def pckh(photos: Sequence[Photo], people: Sequence[Sequence[Sighting]]) -> float:
    """The same within half a head, of people whose neck and top of the head are labelled.

    MPII's head is 0.6 of its head box's diagonal, so figures are near its PCKh@0.5, not equal.

    Returns:
        0 to 1, NaN where no head is labelled.
    """
    return _within(photos, people, lambda person: PCKH_HEADS * person.head_px)


def _within(
    photos: Sequence[Photo],
    people: Sequence[Sequence[Sighting]],
    reach_px: Callable[[LabelledPerson], float],
) -> float:
    """Share of labelled limb joints within each person's reach; who has none is not counted."""
    hits = total = 0
    for photo, found in zip(photos, people, strict=True):
        for person in photo.people:
            limbs, reach = person.joints[_FIRST_LIMB:], reach_px(person)
            if np.isnan(reach):
                continue
            total += int((limbs[:, 2] > 0).sum())
            hits += max((_near(limbs, one, reach) for one in found), default=0)
    return hits / total if total else float("nan")


def oracle_groups(photo: Photo, candidates: Candidates) -> list[Sighting]:
    """The people that perfect grouping would make of these peaks: what heatmaps alone allow."""
    people = [person for person in photo.people if person.labelled]
    joints = len(COCO17.joints)
    found_px = np.full((len(people), joints, 2), np.nan)
    scores = np.zeros((len(people), joints))
    for joint in range(joints):
        peaks = np.flatnonzero(candidates.scores[joint] > _ORACLE_LEAST_SCORE)
        if not len(peaks) or not people:
            continue
        label = np.stack([person.joints[joint] for person in people])  # (P, 3)
        size = np.sqrt([max(person.area_px2, 1.0) for person in people])
        apart = np.linalg.norm(
            candidates.joints_px[joint, peaks][None] - label[:, None, :2], axis=2
        )
        apart = np.where(label[:, 2:] > 0, apart / size[:, None], np.inf)
        gain = candidates.scores[joint, peaks] * np.exp(-((apart / _ORACLE_SPREAD) ** 2)) + 1e-6
        gain = np.where(apart < _ORACLE_REACH, gain, 0.0)
        rows, columns = linear_sum_assignment(gain, maximize=True)
        real = gain[rows, columns] > 0
        chosen = peaks[columns[real]]
        found_px[rows[real], joint] = candidates.joints_px[joint, chosen]
        scores[rows[real], joint] = candidates.scores[joint, chosen]
    nothing = np.zeros(joints, dtype=bool)
    return [
        Sighting(place, score, float(score.mean()), nothing)
        for place, score in zip(found_px, scores, strict=True)
        if score.any()
    ]


def _keypoints(person: Sighting) -> F64:
    return np.column_stack([np.nan_to_num(person.joints_px), person.scores])


def _torso(joints: F64) -> float:
    """From the middle of the labelled shoulders to the middle of the labelled hips, or NaN."""
    shoulders = joints[[_LEFT_SHOULDER, _RIGHT_SHOULDER]]
    hips = joints[[_LEFT_HIP, _RIGHT_HIP]]
    shoulders, hips = shoulders[shoulders[:, 2] > 0, :2], hips[hips[:, 2] > 0, :2]
    if not len(shoulders) or not len(hips):
        return float("nan")
    return float(np.linalg.norm(shoulders.mean(0) - hips.mean(0)))


def _near(limbs: F64, person: Sighting, reach_px: float) -> int:
    apart = np.linalg.norm(person.joints_px[_FIRST_LIMB:] - limbs[:, :2], axis=1)
    return int(((apart < reach_px) & (limbs[:, 2] > 0)).sum())  # NaN, unseen, is not near
