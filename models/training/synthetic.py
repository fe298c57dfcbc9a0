"""Crowds of rendered people on real backgrounds, with joints known exactly, as a COCO folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import BadTrainingData
from .body import BodyModel, load_body, random_person
from .kept_apart import is_kept_apart
from .motions import Pose, read_motions
from .photos import read_backgrounds
from .render import Canvas, blank_canvas, draw_person

__all__ = ["SyntheticSettings", "make_crowds", "render_crowd"]

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]

_PEOPLE = (0.12, 0.22, 0.22, 0.18, 0.14, 0.12)  # share of pictures with one, two, ... people
_NEAREST_M = 1.8
_HIP_HEIGHT_M = 0.9
# A joint lies inside the body: it counts as seen if the skin before it is no farther off.
_SKIN_M = 0.14
_LEAST_PIXELS = 60
_LEAST_SHARE = 0.15  # of somebody must be seen for the joints to be labelled


@dataclass(frozen=True, slots=True)
class SyntheticSettings:
    """What to make."""

    output: Path  # folder, outside the repository
    motions: Path  # see ``read_motions``
    backgrounds: Path  # folder with ``images/*.jpg`` without people
    pictures: int
    side: int = 448  # px
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Camera:
    """Looks along y of the world, pitched down; the people stand around (0, distance, 0)."""

    focal_px: float
    pitch: float
    height_m: float
    distance_m: float
    side: int

    def see(self, points: F64) -> tuple[F32, F32]:
        """(N, 3) world points -> (N, 3) in camera axes and (N, 2) pixels."""
        cosine, sine = np.cos(self.pitch), np.sin(self.pitch)
        cam_from_world = np.asarray([[1, 0, 0], [0, -sine, -cosine], [0, cosine, -sine]])
        lens = np.asarray([0.0, 0.0, self.height_m])
        seen = (points - lens) @ cam_from_world.T
        aim = (np.asarray([0, self.distance_m, _HIP_HEIGHT_M]) - lens) @ cam_from_world.T
        middle = np.asarray([(self.side - 1) / 2, (self.side - 1) / 2])
        middle[1] -= self.focal_px * aim[1] / aim[2]  # the crowd's hips in the picture's middle
        depth = np.maximum(seen[:, 2:], 1e-3)
        return seen.astype(np.float32), (seen[:, :2] / depth * self.focal_px + middle).astype("f4")


def make_crowds(settings: SyntheticSettings) -> Path:
    """Render pictures and write ``person_keypoints.json`` beside them.

    Motion files and backgrounds kept for measuring are left out (``kept_apart``).

    Returns:
        The annotation file.

    Raises:
        BadTrainingData: no motions or no backgrounds.
        ImportError: the package ``anny`` is not installed.
    """
    poses = read_motions(settings.motions, lambda path: not is_kept_apart(path))
    backgrounds = [
        _read(path) for path in read_backgrounds(settings.backgrounds) if not is_kept_apart(path)
    ]
    if not backgrounds:
        raise BadTrainingData(f"no images/*.jpg in {settings.backgrounds}; give photos for behind")
    body = load_body(settings.seed)
    (settings.output / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(settings.pictures):
        rng = np.random.default_rng([settings.seed, index])
        picture, people = render_crowd(body, poses, backgrounds, settings.side, rng)
        name = f"images/{settings.seed}-{index:06d}.jpg"
        cv2.imwrite(str(settings.output / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
        size = {"width": settings.side, "height": settings.side}
        images.append({"id": index, "file_name": name, **size})
        for person in people:
            person |= {"id": len(annotations) + 1, "image_id": index, "category_id": 1}
            annotations.append(person)
    path = settings.output / "person_keypoints.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")
    return path


def render_crowd(
    body: BodyModel, poses: list[Pose], backgrounds: list[U8], side: int, rng: np.random.Generator
) -> tuple[U8, list[dict[str, Any]]]:
    """One picture of one to six people.

    Returns:
        (side, side, 3) BGR; COCO annotations without ids. Joints hidden by somebody else have
        visibility 0, not to be learned; hidden by the person's own body 1; seen 2.
    """
    canvas = blank_canvas(side)
    camera = _Camera(
        focal_px=side * rng.uniform(0.8, 1.7),
        pitch=rng.uniform(-0.05, 0.35),
        height_m=rng.uniform(0.9, 2.6),
        distance_m=rng.uniform(2.2, 7),
        side=side,
    )
    light = _light(rng)
    ambient, spread = rng.uniform(0.35, 0.7), rng.uniform(0.25, 1.2)
    drawn: list[tuple[int, F32, F32, int]] = []
    for number in range(1, 2 + int(rng.choice(len(_PEOPLE), p=_PEOPLE))):
        person = random_person(body, poses, rng)
        away = max(_NEAREST_M, camera.distance_m + rng.normal(0, spread) * 1.2)
        feet = -person.vertices[:, 2].min()  # on the floor
        stand = np.asarray([rng.normal(0, spread), away, feet])
        vertices, places = camera.see(person.vertices + stand)
        joints, joints_px = camera.see(person.joints + stand)
        texture = backgrounds[int(rng.integers(len(backgrounds)))]
        covered = draw_person(
            canvas, person, body.faces, vertices, places, texture, light, ambient, number
        )
        drawn.append((number, joints, joints_px, covered))
    people = [
        annotation
        for number, joints, joints_px, covered in drawn
        if (annotation := _annotation(canvas, number, joints, joints_px, covered)) is not None
    ]
    background = backgrounds[int(rng.integers(len(backgrounds)))]
    return _composed(canvas, _cut(background, side, rng), rng), people


def _light(rng: np.random.Generator) -> F32:
    """(3,) a random direction towards a light on the camera's side, camera axes."""
    direction = rng.normal(0, 1, 3)
    direction[2] = -abs(direction[2]) - 0.3
    return np.asarray(direction / np.linalg.norm(direction), dtype=np.float32)


def _annotation(
    canvas: Canvas, number: int, joints: F32, joints_px: F32, covered: int
) -> dict[str, Any] | None:
    """What COCO would write of one person; None for somebody hardly in the picture."""
    seen = canvas.owner == number
    pixels = int(seen.sum())
    if pixels < _LEAST_PIXELS:
        return None
    side = len(seen)
    rows = np.zeros((len(joints), 3))
    for row, place, depth in zip(rows, joints_px, joints[:, 2], strict=True):
        x, y = round(float(place[0])), round(float(place[1]))
        if pixels < _LEAST_SHARE * covered or not (0 <= x < side and 0 <= y < side):
            continue
        owner = canvas.owner[y, x]
        if owner == number:
            row[:] = *place, 2 if depth - canvas.depth[y, x] < _SKIN_M else 1
        elif owner == 0:
            row[:] = *place, 1
    ys, xs = np.nonzero(seen)
    left, top = int(xs.min()), int(ys.min())
    return {
        "keypoints": np.round(rows, 1).ravel().tolist(),
        "num_keypoints": int((rows[:, 2] > 0).sum()),
        "bbox": [left, top, int(xs.max()) - left + 1, int(ys.max()) - top + 1],
        "area": pixels,
        "iscrowd": 0,
        "source": "synthetic",
        # Also where nobody can see it, for measuring whose joint a found one is.
        "joints_px": np.round(joints_px, 1).ravel().tolist(),
    }


def _composed(canvas: Canvas, background: U8, rng: np.random.Generator) -> U8:
    """People in front of the background, edges softened, through a lens with noise."""
    alpha = cv2.GaussianBlur((canvas.owner > 0).astype(np.float32), (0, 0), 0.7)[..., None]
    picture = background * (1 - alpha) + canvas.colors * alpha
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.0))
    noise = rng.normal(0, rng.uniform(0, 6), picture.shape)
    picture = picture * rng.uniform(0.75, 1.2) + noise
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def _cut(background: U8, side: int, rng: np.random.Generator) -> U8:
    height, width = background.shape[:2]
    cut = int(min(height, width) * rng.uniform(0.6, 1))
    top, left = rng.integers(height - cut + 1), rng.integers(width - cut + 1)
    square = background[top : top + cut, left : left + cut]
    return np.asarray(cv2.resize(square, (side, side)), dtype=np.uint8)


def _read(path: Path) -> U8:
    image = cv2.imread(str(path))
    if image is None:
        raise BadTrainingData(f"cannot read the image {path}; check the file")
    return np.asarray(image, dtype=np.uint8)
