"""An endless stream of training batches mixed from photo sets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from ..errors import BadTrainingData
from .augment import augment
from .packed_crops import packed_canvas
from .photos import Photo, is_held_out, read_backgrounds, read_photos
from .scene import (
    STRIDE,
    Scene,
    crop,
    joint_cells,
    paste,
    person_in_view,
    random_view,
    targets,
)

__all__ = ["Batch", "Mix", "MixSettings", "TrainSet"]

F32: TypeAlias = NDArray[np.float32]
U8: TypeAlias = NDArray[np.uint8]
_Number = TypeVar("_Number", np.uint8, np.float32)

_MOST_PEOPLE = 16  # in one picture, for the losses that look at people


@dataclass(frozen=True, slots=True)
class TrainSet:
    """A folder in COCO format and how much of it goes into the mix."""

    folder: Path
    share: float  # relative to the other shares
    turn_deg: float = 12.0  # spread of the random rotation
    any_turn: float = 0.0  # share of views turned by any angle at all


@dataclass(frozen=True, slots=True)
class MixSettings:
    """What a training stream is made of. Shares are relative to each other."""

    sets: tuple[TrainSet, ...]
    backgrounds: Path | None = None  # photos without people
    background_share: float = 0.02
    paste_share: float = 0.0  # cut-out people in front of photos; needs a set with masks
    mosaic_share: float = 0.0  # four pictures at half size in one
    packed_share: float = 0.0  # a canvas cut in pieces, each filled by a person's crop
    seam_cells: int = 0  # this near a packed piece's seams only joints are learned
    sizes: tuple[tuple[int, int], ...] = ((256, 10),)  # side in px, pictures a batch
    size_shares: tuple[float, ...] = (1.0,)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures of one size with their targets."""

    images: torch.Tensor  # (B, 3, S, S) uint8 RGB
    heat: torch.Tensor  # (B, 17, S / 4, S / 4)
    weight: torch.Tensor  # (B, 17, S / 4, S / 4) 0 where nothing may be learned
    cells: torch.Tensor  # (B, P, 17, 2) x, y in cells, NaN where not labelled


@dataclass(frozen=True, slots=True)
class _Sample:
    image: U8
    heat: F32
    weight: F32
    cells: F32


class Mix(IterableDataset[Batch]):
    """Holds the list of photos and a source of chance: state, one for each stream."""

    def __init__(self, settings: MixSettings) -> None:
        """Read the annotation files.

        Raises:
            BadTrainingData: a set cannot be read or is all held out, or pasting is asked for
                without any masks.
        """
        self._settings = settings
        self.photos = [_learnable_photos(item.folder) for item in settings.sets]
        folder = settings.backgrounds
        self._backgrounds = read_backgrounds(folder) if folder is not None else []
        self._masked = [p for photos in self.photos for p in photos if p.mask_path is not None]
        if settings.paste_share > 0 and not self._masked:
            raise BadTrainingData("pasting needs a set with masks; add one or set its share to 0")

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self._settings.seed)
        sizes, shares = self._settings.sizes, np.asarray(self._settings.size_shares)
        while True:
            side, count = sizes[int(rng.choice(len(sizes), p=shares / shares.sum()))]
            yield _batch([self._sample(side, rng) for _ in range(count)])

    def _sample(self, side: int, rng: np.random.Generator) -> _Sample:
        settings = self._settings
        kinds: list[tuple[float, Callable[[], _Sample]]] = [
            (settings.mosaic_share, lambda: self._mosaic(side, rng)),
            (settings.packed_share, lambda: self._packed(side, rng)),
            (settings.paste_share, lambda: _learnable(self._pasted(side, rng))),
            (sum(s.share for s in settings.sets), lambda: _learnable(self._plain(side, rng))),
        ]
        if self._backgrounds:
            empty = (settings.background_share, lambda: _learnable(self._empty(side, rng)))
            kinds.append(empty)
        shares = np.asarray([share for share, _ in kinds])
        sample = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))][1]()
        return _Sample(augment(sample.image, rng), sample.heat, sample.weight, sample.cells)

    def _drawn(self, rng: np.random.Generator) -> tuple[Photo, float, float]:
        """A photo of some set, with how far its views are turned."""
        shares = np.asarray([item.share for item in self._settings.sets])
        chosen = int(rng.choice(len(shares), p=shares / shares.sum()))
        photos, of = self.photos[chosen], self._settings.sets[chosen]
        return photos[int(rng.integers(len(photos)))], of.turn_deg, of.any_turn

    def _plain(self, side: int, rng: np.random.Generator) -> Scene:
        photo, turn_deg, any_turn = self._drawn(rng)
        view = random_view(photo, side, rng, turn_deg, any_turn)
        return crop(_read(photo.path), photo, view, side, rng)

    def _packed(self, side: int, rng: np.random.Generator) -> _Sample:
        seam = self._settings.seam_cells
        made = packed_canvas(
            side, lambda: self._drawn(rng), lambda photo: _read(photo.path), rng, seam
        )
        return _Sample(made.image, made.heat, made.weight, made.cells)

    def _empty(self, side: int, rng: np.random.Generator) -> Scene:
        image = _read(self._backgrounds[int(rng.integers(len(self._backgrounds)))])
        scale = side / min(image.shape[:2]) * rng.uniform(1, 1.4)
        size = (max(side, round(image.shape[1] * scale)), max(side, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        left = int(rng.integers(size[0] - side + 1))
        top = int(rng.integers(size[1] - side + 1))
        nobody = np.zeros((0, 4))
        return Scene(image[top : top + side, left : left + side].copy(), (), nobody, 1.0)

    def _pasted(self, side: int, rng: np.random.Generator) -> Scene:
        scene = self._empty(side, rng) if self._backgrounds and rng.random() < 0.5 else None
        scene = scene or self._plain(side, rng)
        wanted = side * np.exp(rng.uniform(np.log(0.3), np.log(0.95)))
        for _ in range(int(rng.integers(1, 5))):
            photo = self._masked[int(rng.integers(len(self._masked)))]
            people = [p for p in photo.people if p.mask_value and p.labelled]
            if not people:
                continue
            person = people[int(rng.integers(len(people)))]
            view = random_view(photo, side, rng, 15.0)
            # Take the view's turn and mirror, but put this person at the common size.
            size_px = float((person.box_px[2:] - person.box_px[:2]).max())
            shrink = wanted * rng.uniform(0.8, 1.25) / size_px
            view[:, :2] *= shrink / np.sqrt(abs(np.linalg.det(view[:, :2])))
            middle = (person.box_px[:2] + person.box_px[2:]) / 2
            place = np.asarray([rng.uniform(0.1, 0.9), rng.uniform(0.3, 0.7)]) * side
            view[:, 2] = place - view[:, :2] @ middle
            assert photo.mask_path is not None, "only photos with masks were kept"
            mask = _read_mask(photo.mask_path)
            alpha = (mask == person.mask_value).astype(np.float32)
            alpha = np.asarray(cv2.GaussianBlur(alpha, (3, 3), 0), dtype=np.float32)
            moved = cv2.warpAffine(alpha, view, (side, side))
            image = cv2.warpAffine(_read(photo.path), view, (side, side))
            scene = paste(
                scene,
                np.asarray(image, dtype=np.uint8),
                np.asarray(moved, dtype=np.float32),
                person_in_view(person, view),
            )
        return scene

    def _mosaic(self, side: int, rng: np.random.Generator) -> _Sample:
        half = side // 2
        parts = [_learnable(self._plain(half, rng)) for _ in range(4)]
        shift = half // STRIDE
        cells = [
            part.cells + np.asarray([column * shift, row * shift], dtype=np.float32)
            for part, (row, column) in zip(parts, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True)
        ]
        return _Sample(
            image=_tiled([part.image for part in parts], 0),
            heat=_tiled([part.heat for part in parts], 1),
            weight=_tiled([part.weight for part in parts], 1),
            cells=np.concatenate(cells),
        )


def _tiled(parts: list[NDArray[_Number]], axis: int) -> NDArray[_Number]:
    """Four arrays as two rows of two; ``axis`` is the one of the rows."""
    rows = [np.concatenate(parts[k : k + 2], axis=axis + 1) for k in (0, 2)]
    return np.concatenate(rows, axis=axis)


def _learnable_photos(folder: Path) -> list[Photo]:
    """Photos of a set with labelled joints that are not kept for measuring."""
    photos = [
        photo
        for photo in read_photos(folder)
        if not is_held_out(folder, photo) and any(person.labelled for person in photo.people)
    ]
    if not photos:
        raise BadTrainingData(f"{folder} has nothing to learn from: all held out or unlabelled")
    return photos


def _learnable(scene: Scene) -> _Sample:
    heat, weight = targets(scene)
    return _Sample(scene.image, heat, weight, joint_cells(scene))


def _batch(samples: list[_Sample]) -> Batch:
    most = min(_MOST_PEOPLE, max(1, *(len(sample.cells) for sample in samples)))
    cells = np.full((len(samples), most, 17, 2), np.nan, dtype=np.float32)
    for row, sample in zip(cells, samples, strict=True):
        row[: len(sample.cells)] = sample.cells[:most]
    images = np.stack([sample.image[:, :, ::-1].transpose(2, 0, 1) for sample in samples])
    return Batch(
        images=torch.from_numpy(np.ascontiguousarray(images)),
        heat=torch.from_numpy(np.stack([sample.heat for sample in samples])),
        weight=torch.from_numpy(np.stack([sample.weight for sample in samples])),
        cells=torch.from_numpy(cells),
    )


def _read(path: Path) -> U8:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise BadTrainingData(f"cannot read the image {path}; check the file")
    return np.asarray(image, dtype=np.uint8)


def _read_mask(path: Path) -> U8:
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2:
        raise BadTrainingData(f"cannot read the mask {path}; it must be one channel of numbers")
    return np.asarray(mask, dtype=np.uint8)
