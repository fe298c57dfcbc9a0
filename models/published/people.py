"""Heatmaps and tag maps become people as the published decoders do it, step by step.

Two decoders are offered, princeton-vl/pose-ae-train's and that of mmpose 0.x; they differ where
``PublishedSettings`` says so. Both know people by their tag, so that two with exactly equal tags
become one; here people are numbered. Ours, in ``models.grouping``, is another thing altogether.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch.nn import functional

from ..errors import BadImage
from ..sighting import Sighting

__all__ = ["PublishedSettings", "group_maps", "like_mmpose", "like_princeton", "quarter"]

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
Int: TypeAlias = NDArray[np.int64]

# Nose, eyes, ears, shoulders, hips, elbows, wrists, knees, ankles.
_ORDER = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
_FOUNDS_A_PERSON = 1e10  # what it costs to give a candidate to nobody
_TAG_WEIGHT = 100.0  # a whole unit of tag distance against a score


@dataclass(frozen=True, slots=True)
class PublishedSettings:
    """How a published network is looked through."""

    frame: Literal["square", "shorter-side"]  # a picture in a square, or its shorter side fixed
    side: int  # px of that
    window: int  # cells; a peak is the largest within
    distance: Literal["rms", "norm"]  # of two tags with several parts
    full_at: int | None  # people after whom joints that lack one are skipped
    filled_score: Literal["one", "heat"]  # of a joint filled in
    # Last row that counts as the one below a filled joint; None, the map's. Princeton's test.py
    # bounds it by the number of joints, which moves filled joints by half a cell at most.
    filled_row: int | None
    clip: bool  # no heat counts for more than one
    mirror: bool = True  # also look at the mirror image: heat averaged, tags appended
    scales: tuple[float, ...] = (1.0,)  # heat averaged, tags of scale 1 alone
    most: int = 30  # peaks of each joint
    least_score: float = 0.1  # of a peak, itself not enough
    tag_reach: float = 1.0  # a candidate this far from everybody founds a person
    # Rounded distances tie often, and then solvers differ; this much of the unrounded distance
    # settles it. The published decoders have none.
    tie_break: float = 0.0


def like_princeton(*, multi_scale: bool = False) -> PublishedSettings:
    """The decoder of princeton-vl/pose-ae-train, `test.py -m single` or `-m multi`."""
    return PublishedSettings(
        frame="square",
        side=512,
        window=3,
        distance="rms",
        full_at=30,
        filled_score="one",
        filled_row=16,
        clip=True,
        scales=(2.0, 1.0, 0.5) if multi_scale else (1.0,),
    )


def like_mmpose(*, multi_scale: bool = False) -> PublishedSettings:
    """The decoder of mmpose 0.x with the settings of hourglass_ae_coco_512x512."""
    return PublishedSettings(
        frame="shorter-side",
        side=512,
        window=5,
        distance="norm",
        full_at=None,
        filled_score="heat",
        filled_row=None,
        clip=False,
        scales=(2.0, 1.0, 0.5) if multi_scale else (1.0,),
    )


def group_maps(heat: F32, tags: F32, settings: PublishedSettings) -> list[Sighting]:
    """People of one picture in the order in which they were founded.

    Args:
        heat: (J, h, w)
        tags: (J, h, w, L), L is 2 with the mirror image.
        settings: whose decoder.

    Returns:
        Joints in cells of the maps counted from the *corner* of the first, as published: half a
        cell more than the peak, and a quarter towards its higher neighbour. A person's score is
        the mean over all joints, absent ones as 0, before any is filled in.

    Raises:
        BadImage: the maps disagree in size or hold NaN.
    """
    if heat.shape != tags.shape[:3] or heat.shape[0] != len(_ORDER):
        raise BadImage(
            f"heat is {heat.shape} and tags {tags.shape}; need ({len(_ORDER)}, h, w) and "
            f"({len(_ORDER)}, h, w, L)"
        )
    if not (np.isfinite(heat).all() and np.isfinite(tags).all()):
        raise BadImage("the network's maps hold NaN or infinite numbers; check its weights")
    cells, scores = _peaks(heat, settings)
    peak_tags = np.stack([tags[j, cells[j, :, 1], cells[j, :, 0]] for j in range(len(heat))])
    people = _members(scores, peak_tags, settings)
    return [_sighting(row, cells, scores, heat, tags, settings) for row in people]


def _peaks(heat: F32, settings: PublishedSettings) -> tuple[Int, F32]:
    """The best local maxima: cells (J, K, 2) as x, y and their heat (J, K), best first."""
    width = heat.shape[2]
    maps = torch.from_numpy(np.ascontiguousarray(heat))
    window = settings.window
    largest = functional.max_pool2d(maps[None], window, 1, window // 2)[0]
    peaks = maps * (maps == largest)
    scores, index = peaks.flatten(1).topk(min(settings.most, peaks[0].numel()), 1)
    return torch.stack([index % width, index // width], 2).numpy(), scores.numpy()


def _members(scores: F32, tags: F32, settings: PublishedSettings) -> list[Int]:
    """Who has which peak: for each person (J,) ranks, -1 for none.

    Args:
        scores: (J, K)
        tags: (J, K, L)
        settings: whose decoder.
    """
    people: list[Int] = []
    worn: list[list[F32]] = []  # the tags of each person's peaks
    for joint in _ORDER:
        peaks = np.flatnonzero(scores[joint] > settings.least_score)
        matched = np.full(len(peaks), -1)
        if people and len(peaks):
            if settings.full_at is not None and len(people) >= settings.full_at:
                continue
            means = np.stack([np.mean(tag, axis=0) for tag in worn])
            matched = _match(tags[joint, peaks], scores[joint, peaks], means, settings)
        for peak, person in zip(peaks, matched, strict=True):
            if person < 0:
                people.append(np.full(len(scores), -1))
                worn.append([])
            people[person][joint] = peak
            worn[person].append(tags[joint, peak])
    return people


def _match(tags: F32, scores: F32, means: F32, settings: PublishedSettings) -> Int:
    """The person of each candidate, -1 for one who is near nobody.

    Args:
        tags: (N, L) of the candidates.
        scores: (N,)
        means: (P, L) mean tags of the people so far.
        settings: whose decoder.
    """
    apart = tags[:, None].astype(np.float64) - means  # (N, P, L)
    squares = apart**2
    distance = np.sqrt(squares.mean(2) if settings.distance == "rms" else squares.sum(2))
    cost = np.round(distance) * _TAG_WEIGHT - scores[:, None] + settings.tie_break * distance
    nobody = max(0, len(tags) - len(means))
    cost = np.pad(cost, ((0, 0), (0, nobody)), constant_values=_FOUNDS_A_PERSON)
    rows, columns = linear_sum_assignment(cost)
    found = np.full(len(tags), -1)
    for row, column in zip(rows, columns, strict=True):
        if column < len(means) and distance[row, column] < settings.tag_reach:
            found[row] = column
    return found


def _sighting(
    row: Int, cells: Int, scores: F32, heat: F32, tags: F32, settings: PublishedSettings
) -> Sighting:
    """A person with every gap filled that some cell of the map can fill."""
    joints = len(row)
    has = row >= 0
    at = cells[np.arange(joints), row]  # (J, 2), nonsense where there is no peak
    found = np.where(has, scores[np.arange(joints), row], 0.0).astype(np.float64)
    score = float(found.mean())
    mean_tag = np.mean([tags[j, at[j, 1], at[j, 0]] for j in np.flatnonzero(has)], axis=0)
    places = np.full((joints, 2), np.nan)
    inferred = np.zeros(joints, dtype=np.bool_)
    for joint in range(joints):
        cell = at[joint] if has[joint] else _filling(heat[joint], tags[joint], mean_tag)
        said = heat[joint, cell[1], cell[0]]
        if not has[joint] and said > 0:
            inferred[joint] = True
            found[joint] = 1.0 if settings.filled_score == "one" else float(said)
        if has[joint] or inferred[joint]:
            last_row = settings.filled_row if inferred[joint] else None
            places[joint] = quarter(heat[joint], cell, last_row)
    return Sighting(places, found, score, inferred)


def _filling(heat: F32, tags: F32, mean_tag: F32) -> Int:
    """The cell (x, y) hottest among those whose tag is nearest, in whole units."""
    apart = np.sqrt(((tags - mean_tag) ** 2).sum(2))
    y, x = np.unravel_index(np.argmax(heat - np.round(apart)), heat.shape)
    return np.array([x, y])


def quarter(heat: F32, cell: Int, last_row: int | None = None) -> F64:
    """A quarter towards the hotter neighbour on each axis; to the lower one if they tie.

    Args:
        heat: (h, w)
        cell: x, y.
        last_row: no row after this one is looked at as the one below.

    Returns:
        (2,) cells counted from the corner of the first.
    """
    height, width = heat.shape
    x, y = cell
    lower = min(y + 1, height - 1 if last_row is None else min(last_row, height - 1))
    right = heat[y, min(x + 1, width - 1)] > heat[y, max(x - 1, 0)]
    below = heat[lower, x] > heat[max(y - 1, 0), x]
    return np.array([x + (0.75 if right else 0.25), y + (0.75 if below else 0.25)])
