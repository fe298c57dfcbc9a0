"""Pictures of people: skeletons over a view, the scene in 3D, and a sheet with both.

Left is warm, right is cool, the middle is light, as seen from the person; each identity has its own
colour, used for its label and trunk. OpenCV only; every line is antialiased.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from calibration.rig import Rig
from models.sighting import Sighting
from models.skeleton import COCO17

from .draw_scene import draw_scene
from .paint import (
    INK,
    OUTLINE,
    PAPER,
    Image,
    badge,
    bone_color,
    caption,
    dot,
    faded,
    id_color,
    line,
)
from .paint import side_color as joint_color
from .people import F64, NO_ID, Frame

__all__ = ["contact_sheet", "draw_scene", "draw_sightings", "frame_sheet"]

MIN_SCORE = 0.05  # joints below are not drawn


def draw_sightings(
    image: Image, sightings: Sequence[Sighting], ids: Sequence[int] | None = None
) -> Image:
    """A copy of the picture with everybody's skeleton over it.

    Args:
        image: (H, W, 3) BGR.
        sightings: people in this picture's pixels; joints filled in rather than found are hollow.
        ids: identity of each sighting; those with NO_ID are drawn faded. Without ids nobody is
            labelled or faded.
    """
    canvas = image.copy()
    names = list(ids) if ids is not None else [NO_ID] * len(sightings)
    width = max(1.5, min(image.shape[:2]) / 180)
    for sighting, identity in zip(sightings, names, strict=True):
        _draw_person(canvas, sighting, identity, width, fade=ids is not None and identity == NO_ID)
    for sighting, identity in zip(sightings, names, strict=True):
        if identity != NO_ID:
            _label_person(canvas, sighting, identity, width)
    return canvas


def _draw_person(
    canvas: Image, sighting: Sighting, identity: int, width: float, *, fade: bool
) -> None:
    joints = sighting.joints_px
    seen = np.isfinite(joints).all(axis=1) & (sighting.scores >= MIN_SCORE)
    bones = [edge for edge in COCO17.edges if seen[edge[0]] and seen[edge[1]]]
    for first, second in bones:  # all outlines first, so that bones join without seams
        line(canvas, joints[first], joints[second], OUTLINE, width * 2.0)
    for first, second in bones:
        color = bone_color(first, second, identity)
        color = faded(color) if fade else color
        line(canvas, joints[first], joints[second], color, width)
    for joint in np.flatnonzero(seen):
        color = joint_color(int(joint))
        color = faded(color) if fade else color
        dot(canvas, joints[joint], OUTLINE, width * 1.9)
        dot(canvas, joints[joint], color, width * 1.3)
        if sighting.inferred[joint]:
            dot(canvas, joints[joint], OUTLINE, width * 0.7)


def _label_person(canvas: Image, sighting: Sighting, identity: int, width: float) -> None:
    seen = np.isfinite(sighting.joints_px).all(axis=1)
    if not seen.any():
        return
    top = sighting.joints_px[seen][:, 1].min()
    middle = sighting.joints_px[seen][:, 0].mean()
    badge(canvas, f"id {identity}", (middle, top - 14 * width), id_color(identity), width / 3.4)


def contact_sheet(views: Mapping[str, Image], scene: Image | None = None) -> Image:
    """One picture with every view under its name, and the scene beside them.

    Args:
        views: by camera name, BGR of any size.
        scene: BGR; its height decides the sheet's.
    """
    height = 1080 if scene is None else scene.shape[0]
    gap = max(4, height // 90)
    columns = _columns([view.shape[1] / view.shape[0] for view in views.values()])
    rows = -(-len(views) // columns) if views else 1
    cell_h = (height - gap * (rows + 1)) // rows
    aspect = max((view.shape[1] / view.shape[0] for view in views.values()), default=1.0)
    cell_w = round(cell_h * aspect)
    left = columns * (cell_w + gap) + gap if views else 0
    width = left + (scene.shape[1] + gap if scene is not None else 0)
    sheet = np.full((height, width, 3), PAPER, dtype=np.uint8)
    for number, (name, view) in enumerate(views.items()):
        row, column = divmod(number, columns)
        x, y = gap + column * (cell_w + gap), gap + row * (cell_h + gap)
        _place(sheet, view, (x, y, cell_w, cell_h))
        scale = max(0.4, height / 1600)
        caption(sheet, name, (x + 2 * gap, y + cell_h - 2 * gap), scale, OUTLINE)
        caption(sheet, name, (x + 2 * gap - 1, y + cell_h - 2 * gap - 1), scale, INK)
    if scene is not None:
        sheet[: scene.shape[0], left : left + scene.shape[1]] = scene
    return sheet


def frame_sheet(
    images: Mapping[str, Image],
    frame: Frame,
    rig: Rig,
    *,
    height: int = 1080,
    around: F64 | None = None,
) -> Image:
    """The contact sheet of one frame set's result: views with skeletons and ids, and the scene.

    Args:
        images: by camera name, BGR frames as posted; cameras may be missing.
        frame: the result.
        rig: that it was made with.
        height: of the sheet in pixels.
        around: (N, 3) points that the scene takes in, as in `draw_scene`.
    """
    views = {}
    for name, image in images.items():
        people = [(p.sightings[name], p.id) for p in frame.people if name in p.sightings]
        people += [(sighting, NO_ID) for sighting in frame.single_view.get(name, ())]
        views[name] = draw_sightings(image, [s for s, _ in people], [i for _, i in people])
    scene = draw_scene(frame.people, rig.cameras, (round(height * 1.1), height), around)
    return contact_sheet(views, scene)


def _columns(aspects: Sequence[float]) -> int:
    """How many views side by side: few empty places first, then a block as wide as it is high."""
    if not aspects:
        return 1
    aspect = max(aspects)

    def cost(columns: int) -> float:
        rows = -(-len(aspects) // columns)
        empty = rows * columns - len(aspects)
        return float(empty + abs(np.log(columns * aspect / rows)))

    return min(range(1, len(aspects) + 1), key=cost)


def _place(sheet: Image, view: Image, box_xywh: tuple[int, int, int, int]) -> None:
    x, y, wide, high = box_xywh
    scale = min(wide / view.shape[1], high / view.shape[0])
    size = (max(1, int(view.shape[1] * scale)), max(1, int(view.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(view, size, interpolation=method)
    x, y = x + (wide - size[0]) // 2, y + (high - size[1]) // 2
    sheet[y : y + size[1], x : x + size[0]] = small
