"""Square training pictures cut from photos, with what may be learned from every cell."""

from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..skeleton import COCO17
from .photos import LabelledPerson, Photo

__all__ = [
    "STRIDE",
    "Scene",
    "ScenePerson",
    "crop",
    "joint_cells",
    "paste",
    "random_view",
    "targets",
]

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]

STRIDE = 4  # picture pixels per heatmap cell
_FLIP = np.asarray(COCO17.flip_order)
# A Gaussian as wide as human labels are uncertain, but never below one cell or above two.
_SIGMA_OVER_SIZE = 0.045
_SIGMA_CELLS = (1.0, 2.0)
# Boxes are drawn tight; a joint's blob reaches a little over the edge.
_BOX_MARGIN = 0.05
_SOLE_MARGIN = 0.12
_UNCERTAIN_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class ScenePerson:
    """One person of a scene."""

    joints: F64  # (17, 3) x, y in scene pixels and visibility; 0 is not labelled
    box_px: F64  # (4,) left, top, right, bottom
    size_px: float  # square root of the box's area
    labelled: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """A square picture ready for training."""

    image: U8  # (S, S, 3) BGR
    people: tuple[ScenePerson, ...]
    others_px: F64  # (N, 4) boxes where nothing may be learned
    outside_weight: float  # of what lies outside all labelled people


def random_view(
    photo: Photo, side: int, rng: np.random.Generator, turn_deg: float, any_turn: float = 0.0
) -> F64:
    """A random map from a photo to a square picture that shows one of its people.

    Args:
        photo: with people.
        side: of the square, px.
        rng: source of chance.
        turn_deg: spread of the rotation.
        any_turn: share of views turned by any angle instead.

    Returns:
        (2, 3) scene_from_photo; its determinant is negative for a mirrored view.
    """
    labelled = [person for person in photo.people if person.labelled] or list(photo.people)
    box = labelled[rng.integers(len(labelled))].box_px
    wanted = side * np.exp(rng.uniform(np.log(0.22), np.log(0.97)))
    scale = float(np.clip(wanted / max(*(box[2:] - box[:2]), 8.0), 0.2, 3.0))
    slack = 0.35 * max(0.0, side - wanted) / scale
    middle = (box[:2] + box[2:]) / 2 + rng.uniform(-slack, slack, 2)
    angle = float(np.clip(rng.normal(0, turn_deg), -3 * turn_deg, 3 * turn_deg))
    if rng.random() < any_turn:
        angle = float(rng.uniform(-180, 180))
    pivot = (float(middle[0]), float(middle[1]))
    view = np.asarray(cv2.getRotationMatrix2D(pivot, angle, scale), dtype=np.float64)
    view[:, 2] += side / 2 - middle
    return mirrored(view, side) if rng.random() < 0.5 else view


def mirrored(view: F64, side: int) -> F64:
    """The same view in a mirror."""
    turned = view.copy()
    turned[0] = -turned[0]
    turned[0, 2] += side - 1
    return turned


def crop(image: U8, photo: Photo, view: F64, side: int, rng: np.random.Generator) -> Scene:
    """What a view shows of a photo.

    Args:
        image: (H, W, 3) the photo.
        photo: its people.
        view: (2, 3) scene_from_photo.
        side: of the square, px.
        rng: chooses the colour outside the photo.
    """
    scale = float(np.sqrt(abs(np.linalg.det(view[:, :2]))))
    if scale < 0.6:  # warpAffine samples single pixels: blur first, or small people alias
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.35 / scale), dtype=np.uint8)
    grey = (0, 127, int(rng.integers(256)))[rng.integers(3)]
    border = (grey, grey, grey)
    seen = cv2.warpAffine(image, view, (side, side), flags=cv2.INTER_LINEAR, borderValue=border)
    outside = 1.0
    if photo.sole:
        # Others are known in part only; where none is known it is mostly background.
        others = len(photo.others_px) > 0 or len(photo.people) > 1
        outside = 0.0 if others or rng.random() < 0.5 else _UNCERTAIN_WEIGHT
    return Scene(
        image=np.asarray(seen, dtype=np.uint8),
        people=tuple(_moved(person, view, scale) for person in photo.people),
        others_px=_moved_boxes(photo.others_px, view),
        outside_weight=outside,
    )


def paste(scene: Scene, image: U8, alpha: F32, person: ScenePerson) -> Scene:
    """Put a cut-out person in front of a scene.

    Args:
        scene: what is behind.
        image: (S, S, 3) the person's photo, warped like the scene.
        alpha: (S, S) 0 to 1, where the person is.
        person: its labels in scene pixels.

    Returns:
        The scene with one more person; labelled joints now hidden are no longer labelled.
    """
    side = scene.image.shape[0]
    mixed = scene.image * (1 - alpha[..., None]) + image * alpha[..., None]
    behind = []
    for other in scene.people:
        joints = other.joints.copy()
        cells = np.round(np.nan_to_num(joints[:, :2])).astype(int)
        inside = ((cells >= 0) & (cells < side)).all(1) & (joints[:, 2] > 0)
        hidden = inside.copy()
        hidden[inside] = alpha[cells[inside, 1], cells[inside, 0]] > 0.5
        joints[hidden, 2] = 0
        behind.append(replace(other, joints=joints))
    return replace(scene, image=mixed.astype(np.uint8), people=(*behind, person))


def targets(scene: Scene) -> tuple[F32, F32]:
    """Heatmaps to learn and how much each of their cells counts.

    Returns:
        Two (17, S / 4, S / 4): the heatmaps, the weights.
    """
    cells = scene.image.shape[0] // STRIDE
    heat = np.zeros((len(_FLIP), cells, cells), dtype=np.float32)
    weight = np.full_like(heat, scene.outside_weight)
    if scene.outside_weight < 1:
        for person in scene.people:
            weight[(slice(None), *_window(person.box_px, _SOLE_MARGIN))] = 1
    for box in scene.others_px:
        weight[(slice(None), *_window(box, 0.0))] = 0
    for person in scene.people:
        unknown = person.joints[:, 2] <= 0
        weight[(unknown, *_window(person.box_px, _BOX_MARGIN))] = 0
    for person in scene.people:
        _draw(person, heat, weight)
    return heat, weight


def joint_cells(scene: Scene) -> F32:
    """Where labelled joints lie, for the losses that look at single cells.

    Returns:
        (P, 17, 2) x, y in whole cells, NaN where not labelled or outside; people with fewer than
        two such joints are left out, as nothing ties them together.
    """
    cells = scene.image.shape[0] // STRIDE
    rows = []
    for person in scene.people:
        place = np.round((person.joints[:, :2] + 0.5) / STRIDE - 0.5)
        known = (person.joints[:, 2] > 0) & ((place >= 0) & (place < cells)).all(1)
        if known.sum() >= 2:
            rows.append(np.where(known[:, None], place, np.nan))
    return np.asarray(rows, dtype=np.float32).reshape(-1, len(_FLIP), 2)


def person_in_view(person: LabelledPerson, view: F64) -> ScenePerson:
    """One person of a photo as a view shows them."""
    return _moved(person, view, float(np.sqrt(abs(np.linalg.det(view[:, :2])))))


def _moved(person: LabelledPerson, view: F64, scale: float) -> ScenePerson:
    joints = person.joints.copy()
    joints[:, :2] = joints[:, :2] @ view[:, :2].T + view[:, 2]
    if np.linalg.det(view[:, :2]) < 0:
        joints = joints[_FLIP]
    size = float(np.sqrt(np.prod(person.box_px[2:] - person.box_px[:2]))) * scale
    box = _moved_boxes(person.box_px[None], view)[0]
    return ScenePerson(joints, box, size, person.labelled)


def _moved_boxes(boxes: F64, view: F64) -> F64:
    """The upright boxes around turned boxes."""
    corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]]  # (N, 4, 2)
    moved = corners @ view[:, :2].T + view[:, 2]
    return np.concatenate([moved.min(1), moved.max(1)], axis=1)


def _window(box_px: F64, margin: float) -> tuple[slice, slice]:
    """Rows and columns of the cells a box touches, grown by a share of its sides."""
    grow = margin * (box_px[2:] - box_px[:2])
    low = np.maximum(np.floor((box_px[:2] - grow) / STRIDE), 0).astype(int)
    high = np.maximum(np.ceil((box_px[2:] + grow) / STRIDE), 0).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _draw(person: ScenePerson, heat: F32, weight: F32) -> None:
    """Add a person's blobs; where there is a blob, it is certain."""
    cells = heat.shape[1]
    sigma = float(np.clip(person.size_px / STRIDE * _SIGMA_OVER_SIZE, *_SIGMA_CELLS))
    reach = int(np.ceil(3 * sigma))
    for joint, (x_px, y_px, visibility) in enumerate(person.joints):
        x, y = (x_px + 0.5) / STRIDE - 0.5, (y_px + 0.5) / STRIDE - 0.5
        column, row = round(float(x)), round(float(y))
        if visibility <= 0 or not (0 <= column < cells and 0 <= row < cells):
            continue
        rows = np.arange(max(0, row - reach), min(cells, row + reach + 1))
        columns = np.arange(max(0, column - reach), min(cells, column + reach + 1))
        blob = np.exp(-((columns[None] - x) ** 2 + (rows[:, None] - y) ** 2) / (2 * sigma**2))
        window = (joint, slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        heat[window] = np.maximum(heat[window], blob)
        weight[window] = np.where(blob > 0.1, 1, weight[window])
