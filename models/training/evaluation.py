"""Our weights on photos nobody trained on, with the peer and perfect grouping beside them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..candidates import Candidates
from ..errors import BadTrainingData
from ..grouping import DecodeSettings, group
from ..letterbox import whole_side
from ..looks import LookSettings, SeveralLooks
from ..predictor import OnnxPredictor, Predictor
from ..published.look import PublishedPredictor, decoder_of, is_published
from ..sighting import Sighting
from .checkpoint import load_network
from .coco_folder import read_labelled
from .identity import Belonging, KnownPerson, belonging
from .metrics import average_precision, oracle_groups, pck, pckh
from .peaks import OffsetName, PeakSettings
from .photos import Photo, is_held_out
from .rivals import MultiPose, TorchPredictor
from .similarity import Similarity, similarity
from .worst import write_worst

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
    looks: LookSettings = field(default_factory=LookSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    offset: OffsetName | None = None  # of a checkpoint's peaks; a file has its own inside
    draws: int = 200  # of photos, for the interval of AP
    worst: Path | None = None  # folder for pictures of what went wrong most
    worst_photos: int = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One network at one size."""

    name: str
    input_side: int
    ap: float  # COCO's, on sets where everyone is labelled
    ap_low: float  # 95 % interval over photos drawn again
    ap_high: float
    ap50: float
    ar: float
    oracle_ap: float  # had the same peaks been grouped perfectly; NaN for the peer
    pck: float  # PCK@0.2 torso, on sets with one labelled person a photo, else on all
    pckh: float  # within half a head, NaN where no head is labelled
    similarity: Similarity  # of everybody labelled, by size and visibility
    right_person: float  # share of found joints, on photos with two people or more
    ms_per_image: float  # of this process, network and grouping


@dataclass(frozen=True, slots=True)
class EvaluateReport:
    """All that was measured."""

    rows: tuple[Row, ...]
    crowd_photos: int  # that AP was measured on
    crowd_people: int
    sole_photos: int  # that PCK was measured on, if there are any
    worst: tuple[Path, ...] = ()  # pictures written


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
    rows, worst = [], []
    for side in settings.input_sides:
        name = settings.weights.stem
        ours = _finder(settings, side)
        if isinstance(ours, PublishedPredictor):
            row, found = _measure_people(name, side, photos, ours, settings.draws)
        else:
            row, found = _measure(name, side, photos, ours, settings.decode, settings.draws)
        rows.append(row)
        if settings.worst is not None:
            folder = settings.worst / str(side)
            worst += write_worst(photos, found, folder, settings.worst_photos)
        if settings.peer is not None:
            peer = MultiPose(settings.peer, side)
            name = settings.peer.stem
            rows.append(_measure_people(name, side, photos, peer, settings.draws)[0])
    crowd = [photo for photo in photos if not photo.sole]
    people = sum(person.labelled for photo in crowd for person in photo.people)
    counts = (len(crowd), people, len(photos) - len(crowd))
    return EvaluateReport(tuple(rows), *counts, tuple(worst))


def _finder(settings: EvaluateSettings, side: int) -> _CandidateFinder | PublishedPredictor:
    """The file's network behind its own decoder, looking as often as asked for."""
    weights, decode = settings.weights, settings.decode
    make: Callable[[int], Predictor]
    if weights.suffix == ".onnx":
        if settings.offset is not None:
            raise BadTrainingData(
                f"{weights} has its offset inside; measure the checkpoint, or export it anew"
            )

        def make(of: int) -> Predictor:
            return OnnxPredictor(weights, input_side=of, settings=decode)

    else:
        network = load_network(weights)
        if is_published(network):
            return PublishedPredictor(network, replace(decoder_of(network), side=side))
        peaks = PeakSettings() if settings.offset is None else PeakSettings(offset=settings.offset)

        def make(of: int) -> Predictor:
            return TorchPredictor(network, of, peaks, decode)

    if settings.looks.once:
        return make(side)
    sides = [whole_side(side * scale) for scale in settings.looks.scales]
    return SeveralLooks([make(of) for of in sides], mirror=settings.looks.mirror, settings=decode)


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
        photos = [p for p in read_labelled(folder) if every_photo or is_held_out(folder, p)]
        if not photos:
            raise BadTrainingData(
                f"no photo of {folder} is kept out of training; measure on every photo of it"
            )
        step = max(1, round(len(photos) / most)) if most is not None else 1
        chosen += photos[::step]
    return chosen


def measure(
    name: str,
    side: int,
    photos: Sequence[Photo],
    finder: _CandidateFinder,
    settings: DecodeSettings | None = None,
    draws: int = 0,
) -> Row:
    """One of our networks at one size, as served.

    Args:
        name: for the table.
        side: px, the longer side the network sees.
        photos: labelled.
        finder: built for that side.
        settings: how joints become people.
        draws: of photos, for the interval of AP; 0 leaves it out.
    """
    return _measure(name, side, photos, finder, settings or DecodeSettings(), draws)[0]


def _measure(
    name: str,
    side: int,
    photos: Sequence[Photo],
    finder: _CandidateFinder,
    settings: DecodeSettings,
    draws: int,
) -> tuple[Row, list[list[Sighting]]]:
    found, peaks, spent = [], [], 0.0
    for photo in photos:
        image = _read(photo)
        begun = time.process_time()
        candidates = finder.candidates([image])[0]
        people = group(candidates, settings)
        spent += time.process_time() - begun
        found.append(people)
        peaks.append(candidates)
    oracle = [oracle_groups(photo, c) for photo, c in zip(photos, peaks, strict=True)]
    return _row(name, side, photos, found, oracle, spent, draws), found


def _measure_people(
    name: str, side: int, photos: Sequence[Photo], finder: _Finder, draws: int
) -> tuple[Row, list[list[Sighting]]]:
    """A network with a grouping of its own."""
    found, spent = [], 0.0
    for photo in photos:
        image = _read(photo)
        begun = time.process_time()
        found += finder.predict([image])
        spent += time.process_time() - begun
    return _row(name, side, photos, found, None, spent, draws), found


def _row(
    name: str,
    side: int,
    photos: Sequence[Photo],
    found: Sequence[list[Sighting]],
    oracle: Sequence[list[Sighting]] | None,
    spent_s: float,
    draws: int,
) -> Row:
    crowd = [index for index, photo in enumerate(photos) if not photo.sole]
    sole = [index for index, photo in enumerate(photos) if photo.sole] or crowd
    crowd_photos, crowd_found = [photos[i] for i in crowd], [found[i] for i in crowd]
    sole_photos, sole_found = [photos[i] for i in sole], [found[i] for i in sole]
    precision = average_precision(crowd_photos, crowd_found, draws=draws)
    best = float("nan")
    if oracle is not None:
        best = average_precision(crowd_photos, [oracle[i] for i in crowd]).ap
    return Row(
        name=name,
        input_side=side,
        ap=precision.ap,
        ap_low=precision.ap_low,
        ap_high=precision.ap_high,
        ap50=precision.ap50,
        ar=precision.ar,
        oracle_ap=best,
        pck=pck(sole_photos, sole_found),
        pckh=pckh(sole_photos, sole_found),
        similarity=similarity(photos, found),
        right_person=_right_person(crowd_photos, crowd_found),
        ms_per_image=spent_s * 1e3 / max(len(photos), 1),
    )


def _right_person(photos: Sequence[Photo], found: Sequence[Sequence[Sighting]]) -> float:
    """Share of found joints with the right person, of photos whose people are told apart."""
    total = Belonging(0, 0, 0)
    for photo, people in zip(photos, found, strict=True):
        known = [
            KnownPerson(
                np.where(person.joints[:, 2:] > 0, person.joints[:, :2], np.nan),
                float((person.box_px[2:] - person.box_px[:2]).max()),
            )
            for person in photo.people
            if person.labelled
        ]
        if len(known) > 1:
            total += belonging(known, people)
    return total.share


def _read(photo: Photo) -> U8:
    image = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
    if image is None:
        raise BadTrainingData(f"cannot read the image {photo.path}; check the file")
    return np.asarray(image, dtype=np.uint8)
