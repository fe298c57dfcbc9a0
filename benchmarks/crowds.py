"""Rendered crowds that no training saw, used by `benchmarks.grouping` and others.

Motions and backgrounds are those that `models.training.kept_apart` keeps out of training crowds.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.body import load_body
from models.training.identity import KnownPerson
from models.training.kept_apart import is_kept_apart
from models.training.motions import read_motions
from models.training.photos import read_backgrounds
from models.training.synthetic import render_crowd

__all__ = ["SEED", "SHARED", "Crowd", "held_out_crowds"]

U8: TypeAlias = NDArray[np.uint8]

SHARED = Path(__file__).parents[1] / "../shared"
SEED = 20_261_124  # of no training crowd
_SIDE_PX = 640
_PEOPLE = (2, 6)


@dataclass(frozen=True, slots=True)
class Crowd:
    """One picture and who is in it."""

    image: U8  # (S, S, 3) BGR
    people: tuple[KnownPerson, ...]  # all joints known, hidden ones too
    labelled: int  # joints that can be seen or guessed from the person's own body


def held_out_crowds(count: int, seed: int = SEED) -> list[Crowd]:
    """Pictures of two to six people of whom at least two overlap."""
    data = SHARED / "train"
    poses = read_motions(data / "motions", is_kept_apart)
    files = [path for path in read_backgrounds(data / "backgrounds") if is_kept_apart(path)]
    backgrounds = [np.asarray(cv2.imread(str(path)), dtype=np.uint8) for path in files]
    body = load_body(seed)
    crowds: list[Crowd] = []
    index = 0
    while len(crowds) < count:
        rng = np.random.default_rng([seed, index])
        index += 1
        image, people = render_crowd(body, poses, backgrounds, _SIDE_PX, rng)
        if _PEOPLE[0] <= len(people) <= _PEOPLE[1] and _overlap(people):
            labelled = sum(int(person["num_keypoints"]) for person in people)
            crowds.append(Crowd(image, tuple(map(_known, people)), labelled))
    return crowds


def _known(annotation: dict[str, Any]) -> KnownPerson:
    joints_px = np.asarray(annotation["joints_px"], dtype=np.float64).reshape(-1, 2)
    return KnownPerson(joints_px, float(max(annotation["bbox"][2:])))


def _overlap(people: list[dict[str, Any]]) -> bool:
    """Whether the boxes of any two people share pixels."""
    boxes = np.asarray([person["bbox"] for person in people], dtype=np.float64)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    corners = boxes[:, :2] + boxes[:, 2:]
    high = np.minimum(corners[:, None], corners[None])
    shared = np.maximum(high - low, 0).prod(-1) > 0
    np.fill_diagonal(shared, False)
    return bool(shared.any())
