"""COCO's keypoint similarity (OKS) person by person: by how large they are and what is seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..sighting import Sighting
from ..skeleton import COCO17
from .photos import Photo

__all__ = ["Similarity", "person_similarities", "similarity"]

F64: TypeAlias = NDArray[np.float64]

_SPREADS = 2 * np.asarray(COCO17.oks_sigmas)
_MEDIUM_PX2, _LARGE_PX2 = 32**2, 96**2  # where COCO parts small, medium and large
_HIDDEN, _SEEN = 1, 2  # COCO's visibility


@dataclass(frozen=True, slots=True)
class Similarity:
    """Means over people and joints, 0 for whoever was not found; NaN where there are none."""

    small: float  # OKS of people under 32² px
    medium: float  # under 96² px
    large: float
    seen: float  # of joints that can be seen
    hidden: float  # of joints that are labelled but hidden


def similarity(photos: Sequence[Photo], people: Sequence[Sequence[Sighting]]) -> Similarity:
    """OKS of labelled people with the people that were found for them.

    Args:
        photos: labelled.
        people: found in each.
    """
    per_person, areas, per_joint, visibility = [], [], [], []
    for photo, found in zip(photos, people, strict=True):
        labelled = [person for person in photo.people if person.labelled]
        for person, like in zip(labelled, person_similarities(photo, found), strict=True):
            per_person.append(like[person.joints[:, 2] > 0].mean())
            areas.append(person.area_px2)
            per_joint.append(like)
            visibility.append(person.joints[:, 2])
    oks, area = np.asarray(per_person), np.asarray(areas)
    joints = np.asarray(per_joint).reshape(-1, len(_SPREADS))
    marks = np.asarray(visibility).reshape(-1, len(_SPREADS))
    return Similarity(
        small=_mean(oks[area < _MEDIUM_PX2]),
        medium=_mean(oks[(area >= _MEDIUM_PX2) & (area < _LARGE_PX2)]),
        large=_mean(oks[area >= _LARGE_PX2]),
        seen=_mean(joints[marks == _SEEN]),
        hidden=_mean(joints[marks == _HIDDEN]),
    )


def person_similarities(photo: Photo, found: Sequence[Sighting]) -> F64:
    """(P, J) similarity of each labelled person's joints, 0 where not labelled or not found.

    Found people are given to labelled ones, each to one at most, so that the sum of OKS is largest.
    """
    labelled = [person for person in photo.people if person.labelled]
    table = np.zeros((len(labelled), len(_SPREADS)))
    if not labelled or not found:
        return table
    joints = np.stack([person.joints for person in labelled])  # (P, J, 3)
    areas = np.asarray([max(person.area_px2, 1.0) for person in labelled])
    places = np.stack([person.joints_px for person in found])  # (F, J, 2)
    apart = ((places[None] - joints[:, None, :, :2]) ** 2).sum(-1)  # (P, F, J)
    like = np.exp(-apart / (2 * areas[:, None, None] * _SPREADS**2))
    known = joints[:, None, :, 2] > 0
    like = np.where(known, np.nan_to_num(like), 0.0)  # NaN, not found, is like nothing
    oks = like.sum(2) / known.sum(2)
    rows, columns = linear_sum_assignment(oks, maximize=True)
    table[rows] = like[rows, columns]
    return table


def _mean(values: F64) -> float:
    return float(values.mean()) if values.size else float("nan")
