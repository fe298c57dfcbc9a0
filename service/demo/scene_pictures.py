"""Pictures of the rendered scene, as its cameras see it through their lenses."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.camera import Camera, project, to_rays

from .scene import BOARD_CORNERS, BOARD_SQUARE_M, Body

__all__ = ["Studio", "picture_of_board", "picture_of_people", "studio"]

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, width, height

KNOT_PX = 8
OVERSAMPLE = 3  # samples a pixel along each axis, so edges fall between pixels as in a photo
SUBPIXEL_BITS = 4  # of the coordinates in which OpenCV draws
SHADOW_PX = 9.0  # how soft a shadow's edge is
NOISE_DN = 2.0  # sensor noise, one sigma
LIGHT = np.array([0.35, -0.4, 0.85]) / np.linalg.norm([0.35, -0.4, 0.85])
SKIN = (150, 180, 224)  # BGR, as all colours here
SHIRTS = ((168, 92, 44), (52, 60, 176), (80, 140, 70))
TROUSERS = ((62, 52, 48), (120, 96, 70), (50, 60, 80))
HAIR = ((28, 34, 46), (40, 66, 98), (20, 20, 24))
SHOES = (36, 36, 40)


@dataclass(frozen=True, slots=True)
class Studio:
    """An empty room as one camera sees it."""

    camera: Camera
    room: Image  # (H, W, 3) BGR
    noise: NDArray[np.int16]  # (H, W, 3) of the sensor; each picture takes it shifted


def studio(camera: Camera, seed: int = 0) -> Studio:
    """The room around a camera: a floor of planks and a wall in the round."""
    width, height = camera.size_px
    rays = _rays(camera, (0, 0, width, height), 1)
    center = camera.center_world
    # A wall far off all round, lighter above; beyond the floor's edge the ray meets the wall.
    flat = np.hypot(rays[..., 0], rays[..., 1])
    height_m = center[2] + 10.0 * rays[..., 2] / np.maximum(flat, 1e-6)
    panel = np.sin(9 * np.arctan2(rays[..., 1], rays[..., 0])) > 0
    wall = (150 + 12 * panel + 9 * np.clip(height_m, 0, 4))[..., None] * [1.0, 0.99, 0.95]
    reach = np.where(rays[..., 2] < 0, -center[2] / np.minimum(rays[..., 2], -1e-9), 1e3)
    floor = center + reach[..., None] * rays
    on_floor = np.hypot(floor[..., 0], floor[..., 1]) < 6.5
    plank = np.floor(floor[..., 0] / 0.18) + 3 * np.floor(floor[..., 1] / 1.4)
    shade = 118 + 10 * np.sin(plank * 2.7) - 4 * (np.abs(floor[..., 0] / 0.18 % 1 - 0.5) > 0.47)
    wood = shade[..., None] * [0.72, 0.9, 1.12]
    room = np.where(on_floor[..., None], wood, wall).astype(np.uint8)
    noise = np.random.default_rng(seed).normal(0, NOISE_DN, room.shape)
    return Studio(camera, room, noise.round().astype(np.int16))


def picture_of_board(view: Studio, world_from_board: F64, number: int) -> Image | None:
    """The board held in the room, or None where it shows its back or is not wholly in view."""
    board_from_world = np.linalg.inv(world_from_board)
    center = board_from_world[:3, :3] @ view.camera.center_world + board_from_world[:3, 3]
    box = _board_box(view.camera, world_from_board)
    if center[2] > -0.1 or box is None:  # z points out of the back
        return None
    x0, y0, width, height = box
    rays = _rays(view.camera, box, OVERSAMPLE) @ board_from_world[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = -center[2] / rays[..., 2]
    columns, rows = BOARD_CORNERS
    x = (center[0] + reach * rays[..., 0]) / BOARD_SQUARE_M
    y = (center[1] + reach * rays[..., 1]) / BOARD_SQUARE_M
    # Inner corners are at 0 to columns - 1; one square around them, and half a one of white.
    paper = (reach > 0) & (x > -1.5) & (x < columns + 0.5) & (y > -1.5) & (y < rows + 0.5)
    printed = paper & (x > -1) & (x < columns) & (y > -1) & (y < rows)
    dark = printed & ((np.floor(x) + np.floor(y)) % 2 == 0)
    lit = 0.75 + 0.25 * abs(float(world_from_board[:3, 2] @ LIGHT))
    shade = np.where(dark, np.float32(30 * lit), np.float32(235 * lit))
    part = (slice(y0, y0 + height), slice(x0, x0 + width))
    covered = cv2.resize(paper.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    inked = cv2.resize(shade * paper, (width, height), interpolation=cv2.INTER_AREA)
    picture = view.room.copy()
    behind = picture[part] * (1 - covered)[..., None]
    picture[part] = np.clip(behind + inked[..., None], 0, 255).astype(np.uint8)
    return _exposed(picture, view, number)


def picture_of_people(view: Studio, bodies: list[Body], number: int) -> Image:
    """People in the room, farther ones before nearer ones."""
    picture = view.room.copy()
    camera = view.camera
    for body in bodies:
        _shadow(picture, camera, body)
    balls = np.concatenate([_balls(body) for body in bodies])  # (N, 7): place, radius, BGR
    depth = balls[:, :3] @ camera.cam_from_world[2, :3] + camera.cam_from_world[2, 3]
    pixels = project(camera, balls[:, :3])
    radius = balls[:, 3] * camera.K[0, 0] / depth
    toward_light = (camera.cam_from_world[:3, :3] @ LIGHT)[:2]
    fine = 1 << SUBPIXEL_BITS
    for index in np.argsort(-depth):
        if not np.isfinite(pixels[index]).all():
            continue
        # Three discs, each smaller, lighter and nearer to the light: a shaded ball.
        for share, tone in ((1.0, 0.62), (0.8, 0.82), (0.5, 1.0)):
            at = pixels[index] + (1 - share) * 0.7 * radius[index] * toward_light
            cv2.circle(
                picture,
                (round(at[0] * fine), round(at[1] * fine)),
                max(1, round(radius[index] * share * fine)),
                (balls[index, 4:] * tone).tolist(),
                cv2.FILLED,
                cv2.LINE_AA,
                SUBPIXEL_BITS,
            )
    return _exposed(picture, view, number)


def _rays(camera: Camera, box: Box, samples: int) -> F64:
    """(height * samples, width * samples, 3) directions in the world through a part of a picture.

    Exact every KNOT_PX pixels and linear between: off by less than 0.01 px for these lenses.
    """
    left, top, width, height = box
    knots = np.stack(
        np.meshgrid(
            left + KNOT_PX * np.arange(-1, width // KNOT_PX + 3),
            top + KNOT_PX * np.arange(-1, height // KNOT_PX + 3),
        ),
        axis=-1,
    ).astype(np.float64)  # (h, w, 2)
    exact = to_rays(camera, knots.reshape(-1, 2)).reshape(*knots.shape[:2], 3)
    at_x, at_y = np.meshgrid(
        *(((np.arange(n * samples) + 0.5) / samples - 0.5) / KNOT_PX + 1 for n in (width, height))
    )
    column, row = at_x.astype(int), at_y.astype(int)
    right, down = (at_x - column)[..., None], (at_y - row)[..., None]
    upper = (1 - right) * exact[row, column] + right * exact[row, column + 1]
    lower = (1 - right) * exact[row + 1, column] + right * exact[row + 1, column + 1]
    return np.asarray((1 - down) * upper + down * lower)


def _board_box(camera: Camera, world_from_board: F64) -> Box | None:
    """The part of the picture that holds the whole paper, or None if it sticks out."""
    columns, rows = BOARD_CORNERS
    edge = [(-1.5, -1.5), (columns + 0.5, -1.5), (columns + 0.5, rows + 0.5), (-1.5, rows + 0.5)]
    paper = np.array([[x * BOARD_SQUARE_M, y * BOARD_SQUARE_M, 0.0, 1.0] for x, y in edge])
    pixels = project(camera, (paper @ world_from_board.T)[:, :3])
    if not np.isfinite(pixels).all():
        return None
    low, high = np.floor(pixels.min(axis=0)) - 2, np.ceil(pixels.max(axis=0)) + 3
    if (low < 0).any() or (high > camera.size_px).any():
        return None
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _shadow(picture: Image, camera: Camera, body: Body) -> None:
    """A soft dark patch under a person."""
    feet = body.joints[15:17].mean(axis=0) * [1, 1, 0]
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    edge = feet + 0.3 * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    outline = project(camera, edge)
    if not np.isfinite(outline).all():
        return
    margin = 3 * SHADOW_PX
    low = np.clip(outline.min(axis=0) - margin, 0, np.array(camera.size_px) - 1).astype(int)
    high = np.clip(outline.max(axis=0) + margin, low + 1, camera.size_px).astype(int)
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), dtype=np.float32)
    cv2.fillPoly(mask, [(outline - low).round().astype(np.int32)], (1.0,))
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), SHADOW_PX), dtype=np.float32)
    part = picture[low[1] : high[1], low[0] : high[0]]
    part[:] = (part * (1 - 0.4 * mask)[..., None]).astype(np.uint8)


def _balls(body: Body) -> F64:
    """The body as balls along its bones, (N, 7): position, radius, colour."""
    j = body.joints
    shirt, trousers, hair = SHIRTS[body.look], TROUSERS[body.look], HAIR[body.look]
    up = np.array([0.0, 0.0, 1.0])
    side = j[5] - j[6]
    side /= np.linalg.norm(side)
    rows = []
    for k, (shoulder, elbow, wrist, hip, knee, ankle) in enumerate(
        ((5, 7, 9, 11, 13, 15), (6, 8, 10, 12, 14, 16))
    ):
        rows += [
            _limb(j[hip], j[knee], 0.088, 0.062, trousers),
            _limb(j[knee], j[ankle], 0.06, 0.042, trousers),
            _limb(j[ankle] - 0.03 * up, body.toes[k], 0.045, 0.036, SHOES),
            _limb(j[shoulder], j[elbow], 0.056, 0.044, shirt),
            _limb(j[elbow], j[wrist], 0.041, 0.03, SKIN),
            _limb(j[wrist], body.hands[k], 0.034, 0.036, SKIN),
        ]
    for share in np.linspace(0, 1, 7):
        top, bottom = (1 - share) * j[5] + share * j[6], (1 - share) * j[11] + share * j[12]
        inset = 0.06 * (0.5 - share)
        rows.append(_limb(top - inset * side - 0.02 * up, bottom + 0.1 * up, 0.085, 0.1, shirt))
        rows.append(_limb(bottom + 0.1 * up, bottom, 0.1, 0.1, trousers))
    neck = (j[5] + j[6]) / 2
    rows += [
        _limb(neck, body.head - 0.06 * up, 0.055, 0.052, SKIN),
        _limb(
            body.head - 0.055 * up + 0.02 * body.heading, body.head + 0.03 * up, 0.075, 0.093, SKIN
        ),
        _limb(
            body.head + 0.05 * up - 0.02 * body.heading,
            body.head - 0.03 * body.heading,
            0.098,
            0.09,
            hair,
        ),
        _limb(j[0] - 0.012 * body.heading, j[0], 0.016, 0.013, (132, 160, 208)),
        _limb(j[1], j[1], 0.012, 0.012, (40, 40, 50)),
        _limb(j[2], j[2], 0.012, 0.012, (40, 40, 50)),
        _limb(j[3], j[3] - 0.03 * up, 0.02, 0.016, (136, 164, 210)),
        _limb(j[4], j[4] - 0.03 * up, 0.02, 0.016, (136, 164, 210)),
        _limb(
            j[0] - 0.05 * up - 0.02 * side,
            j[0] - 0.05 * up + 0.02 * side,
            0.008,
            0.008,
            (92, 96, 160),
        ),
    ]
    return np.concatenate(rows)


def _limb(start: F64, end: F64, start_m: float, end_m: float, color: tuple[int, int, int]) -> F64:
    """Balls from start to end, dense enough to look like one piece."""
    count = max(2, int(np.linalg.norm(end - start) / (0.25 * min(start_m, end_m))) + 1)
    share = np.linspace(0, 1, count)[:, None]
    radius = (1 - share) * start_m + share * end_m
    return np.hstack([(1 - share) * start + share * end, radius, np.tile(color, (count, 1))])


def _exposed(picture: Image, view: Studio, number: int) -> Image:
    """What the sensor makes of a picture."""
    shifted = np.roll(view.noise, (37 * number, 101 * number), axis=(0, 1))
    return np.asarray(np.clip(picture + shifted, 0, 255), dtype=np.uint8)
