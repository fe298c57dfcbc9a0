"""Our weights on photos nobody trained on, with the peer and perfect grouping beside them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..candidates import Candidates
from ..errors import BadTrainingData
from ..grouping import DecodeSettings, group
from ..predictor import OnnxPredictor
from ..published.look import PublishedPredictor, decoder_of, is_published
from ..sighting import Sighting
from .checkpoint import load_network
from .metrics import average_precision, oracle_groups, pck
from .photos import Photo, is_held_out, read_photos
from .rivals import MultiPose, TorchPredictor

__all__ = ["EvaluateReport", "EvaluateSettings", "Row", "evaluate", "held_out", "measure"]

U8: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """What to measure on what."""

    weights: Path  # .onnx, or a checkpoint of a training run
    sets: tuple[Path, ...]  # folders in COCO format
    input_sides: tuple[int, ...] = (256, 384)
    every_photo: bool = False  # also those we trained on: for folders of your own
    peer: Path | None = None  # movenet-multipose.onnx
    most_photos: int | None = None  # of each folder, evenly chosen


@dataclass(frozen=True, slots=True)
class Row:
    """One network at one size."""

    name: str
    input_side: int
    ap: float  # COCO's, on sets where everyone is labelled
    ap50: float
    ar: float
    oracle_ap: float  # had the same peaks been grouped perfectly; NaN for the peer
    pck: float  # PCK@0.2 torso, on sets with one labelled person a photo
    ms_per_image: float  # of this process, network and grouping


@dataclass(frozen=True, slots=True)
class EvaluateReport:
    """All that was measured."""

    rows: tuple[Row, ...]
    crowd_photos: int  # that AP was measured on
    crowd_people: int
    sole_photos: int  # that PCK was measured on


class _Finder(Protocol):
    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]: ...


class _CandidateFinder(_Finder, Protocol):
    def candidates(self, images: Sequence[U8]) -> list[Candidates]: ...


def evaluate(settings: EvaluateSettings) -> EvaluateReport:
    """Measure weights, and the peer if its file is given.

    Raises:
        BadTrainingData: a set cannot be read.
        WeightsMissing: no such weights.
        WeightsDamaged: not weights of ours.
        CheckpointMismatch: not a checkpoint of ours.
    """
    photos = held_out(settings.sets, settings.every_photo, settings.most_photos)
    rows = []
    for side in settings.input_sides:
        name = settings.weights.stem
        ours = _finder(settings.weights, side)
        if isinstance(ours, PublishedPredictor):
            rows.append(_measure_people(name, side, photos, ours))
        else:
            rows.append(measure(name, side, photos, ours))
        if settings.peer is not None:
            peer = MultiPose(settings.peer, side)
            rows.append(_measure_people(settings.peer.stem, side, photos, peer))
    crowd = [photo for photo in photos if not photo.sole]
    people = sum(person.labelled for photo in crowd for person in photo.people)
    return EvaluateReport(tuple(rows), len(crowd), people, len(photos) - len(crowd))


def _finder(weights: Path, side: int) -> _CandidateFinder | PublishedPredictor:
    """The file's network behind its own decoder."""
    if weights.suffix == ".onnx":
        return OnnxPredictor(weights, input_side=side)
    network = load_network(weights)
    if is_published(network):
        return PublishedPredictor(network, replace(decoder_of(network), side=side))
    return TorchPredictor(network, side)


def held_out(folders: Sequence[Path], every_photo: bool, most: int | None) -> list[Photo]:
    """Photos to measure on.

    Args:
        folders: sets in COCO format.
        every_photo: also those that training uses.
        most: photos of each set, evenly chosen.

    Raises:
        BadTrainingData: a set cannot be read, or nothing of it is kept out of training.
    """
    chosen: list[Photo] = []
    for folder in folders:
        photos = [p for p in read_photos(folder) if every_photo or is_held_out(folder, p)]
        if not photos:
            raise BadTrainingData(
                f"no photo of {folder} is kept out of training; measure on every photo of it"
            )
        step = max(1, round(len(photos) / most)) if most is not None else 1
        chosen += photos[::step]
    return chosen


def measure(name: str, side: int, photos: Sequence[Photo], finder: _CandidateFinder) -> Row:
    """One of our networks at one size.

    Args:
        name: for the table.
        side: px, the longer side the network sees.
        photos: labelled.
        finder: built for that side.
    """
    found, peaks, spent = [], [], 0.0
    settings = DecodeSettings()
    for photo in photos:
        image = _read(photo)
        begun = time.process_time()
        candidates = finder.candidates([image])[0]
        people = group(candidates, settings)
        spent += time.process_time() - begun
        found.append(people)
        peaks.append(candidates)
    oracle = [oracle_groups(photo, c) for photo, c in zip(photos, peaks, strict=True)]
    return _row(name, side, photos, found, oracle, spent)


def _measure_people(name: str, side: int, photos: Sequence[Photo], finder: _Finder) -> Row:
    """A network with a grouping of its own."""
    found, spent = [], 0.0
    for photo in photos:
        image = _read(photo)
        begun = time.process_time()
        found += finder.predict([image])
        spent += time.process_time() - begun
    return _row(name, side, photos, found, None, spent)


def _row(
    name: str,
    side: int,
    photos: Sequence[Photo],
    found: Sequence[list[Sighting]],
    oracle: Sequence[list[Sighting]] | None,
    spent_s: float,
) -> Row:
    crowd = [index for index, photo in enumerate(photos) if not photo.sole]
    sole = [index for index, photo in enumerate(photos) if photo.sole]
    crowd_photos = [photos[i] for i in crowd]
    precision = average_precision(crowd_photos, [found[i] for i in crowd])
    best = float("nan")
    if oracle is not None:
        best = average_precision(crowd_photos, [oracle[i] for i in crowd]).ap
    correct = pck([photos[i] for i in sole], [found[i] for i in sole])
    ms = spent_s * 1e3 / max(len(photos), 1)
    return Row(name, side, precision.ap, precision.ap50, precision.ar, best, correct, ms)


def _read(photo: Photo) -> U8:
    image = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
    if image is None:
        raise BadTrainingData(f"cannot read the image {photo.path}; check the file")
    return np.asarray(image, dtype=np.uint8)
