"""Pictures of what went wrong most: labels and findings drawn beside each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..sighting import Sighting
from ..skeleton import COCO17
from .photos import Photo
from .similarity import person_similarities

__all__ = ["write_worst"]

F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]

_HEIGHT_PX = 480
# Blue, green, red; one for each person, again from the start after the last.
_COLORS = ((60, 220, 60), (60, 160, 255), (255, 160, 60), (220, 80, 220), (60, 220, 220))
_LEAST_FALSE_SCORE = 0.3  # of a found person that nobody is labelled for


def write_worst(
    photos: Sequence[Photo], people: Sequence[Sequence[Sighting]], folder: Path, count: int
) -> list[Path]:
    """The worst photos as PNG files, labels on the left and findings on the right.

    How bad a photo is: 1 - OKS of each labelled person, and the score of each found person too
    many (none of those where not everybody is labelled).

    Args:
        photos: labelled.
        people: found in each.
        folder: made if it is not there.
        count: most files to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    losses = np.asarray([_loss(photo, found) for photo, found in zip(photos, people, strict=True)])
    written = []
    for rank, index in enumerate(np.argsort(-losses, kind="stable")[:count]):
        photo = photos[index]
        image = np.asarray(cv2.imread(str(photo.path), cv2.IMREAD_COLOR), dtype=np.uint8)
        scale = _HEIGHT_PX / image.shape[0]
        size = (max(1, round(image.shape[1] * scale)), _HEIGHT_PX)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        labels = [np.where(p.joints[:, 2:] > 0, p.joints[:, :2], np.nan) for p in photo.people]
        left = _drawn(image, [(place + 0.5) * scale - 0.5 for place in labels])
        right = _drawn(image, [(one.joints_px + 0.5) * scale - 0.5 for one in people[index]])
        path = folder / f"{rank:02d}-{losses[index]:.2f}-{photo.path.stem}.png"
        cv2.imwrite(str(path), np.hstack([left, right]))
        written.append(path)
    return written


def _loss(photo: Photo, found: Sequence[Sighting]) -> float:
    labelled = [person for person in photo.people if person.labelled]
    if not labelled:
        return 0.0
    known = np.stack([person.joints[:, 2] > 0 for person in labelled])
    oks = person_similarities(photo, found).sum(1) / known.sum(1)
    lost = float((1 - oks).sum())
    if photo.sole or len(labelled) < len(photo.people) or len(photo.others_px):
        return lost
    spare = sorted((person.score for person in found), reverse=True)[len(labelled) :]
    return lost + sum(score for score in spare if score >= _LEAST_FALSE_SCORE)


def _drawn(image: U8, poses: Sequence[F64]) -> U8:
    canvas = image.copy()
    for number, pose in enumerate(poses):
        color = _COLORS[number % len(_COLORS)]
        for first, second in COCO17.edges:
            if not np.isnan(pose[[first, second]]).any():
                ends = [tuple(int(v) for v in np.round(pose[k])) for k in (first, second)]
                cv2.line(canvas, ends[0], ends[1], color, 2, cv2.LINE_AA)
        for x, y in pose[~np.isnan(pose[:, 0])]:
            cv2.circle(canvas, (round(float(x)), round(float(y))), 3, color, -1, cv2.LINE_AA)
    return canvas
