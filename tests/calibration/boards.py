"""A world of cameras and boards whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board, parse_board
from calibration.camera import F64, Camera, project
from calibration.transforms import inverse, rotation_from_vector, transform
from calibration.views import Sightings, View


@dataclass(frozen=True, slots=True)
class World:
    """True cameras and what they saw."""

    cameras: tuple[Camera, ...]
    board: Board
    views: tuple[View, ...]
    spoiled: dict[tuple[str, str, bool], str]  # view key -> how

    @property
    def sightings(self) -> Sightings:
        sizes = {camera.name: camera.size_px for camera in self.cameras}
        looked = {c.name: sum(v.camera == c.name for v in self.views) for c in self.cameras}
        return Sightings(self.views, sizes, looked)

    def true_cam_from_reference(self, name: str) -> F64:
        """Truth in the frame of the first camera."""
        by_name = {camera.name: camera for camera in self.cameras}
        return by_name[name].cam_from_world @ inverse(self.cameras[0].cam_from_world)


def look_at(center_world: F64, target_world: F64) -> F64:
    """cam_from_world of an upright camera; world z up."""
    forward = target_world - center_world
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward])
    return transform(R, -R @ center_world)


def ring(
    rng: np.random.Generator, count: int = 4, radius_m: float = 3.0, height_m: float = 1.5
) -> tuple[Camera, ...]:
    """Cameras on a circle looking at (0, 0, 1)."""
    cameras = []
    for index in range(count):
        angle = 2 * np.pi * index / count
        center = np.array([radius_m * np.cos(angle), radius_m * np.sin(angle), height_m])
        cameras.append(_camera(rng, f"cam{index}", look_at(center, np.array([0.0, 0.0, 1.0]))))
    return tuple(cameras)


def stereo_pair(
    rng: np.random.Generator, baseline_m: float = 0.5, away_m: float = 3.0
) -> tuple[Camera, ...]:
    """Two cameras side by side, looking along x at a volume 3 m away."""
    return tuple(
        _camera(rng, name, look_at(np.array([-away_m, y, 1.2]), np.array([0.0, y * 0.5, 1.0])))
        for name, y in (("left", baseline_m / 2), ("right", -baseline_m / 2))
    )


def _camera(rng: np.random.Generator, name: str, cam_from_world: F64) -> Camera:
    f = 1400 + rng.uniform(-20, 20)
    K = np.array(
        [[f, 0, 960 + rng.uniform(-15, 15)], [0, f, 540 + rng.uniform(-15, 15)], [0, 0, 1]]
    )
    dist = np.array([-0.25 + rng.uniform(-0.02, 0.02), 0.09, 5e-4, -3e-4, -0.015])
    return Camera(name, (1920, 1080), K, dist, cam_from_world)


def board_moments(
    rng: np.random.Generator,
    cameras: Sequence[Camera],
    board: Board,
    moments: int,
    sigma_px: float,
    volume_m: float = 0.8,
    bend_m: tuple[float, float] = (0.0, 0.0),
) -> list[View]:
    """Rig boards between two neighbouring cameras, in every camera that sees them whole."""
    views: list[View] = []
    moment = 0
    while moment < moments:
        first = moment % len(cameras)
        pair = (cameras[first], cameras[(first + 1) % len(cameras)])
        middle = np.mean([camera.center_world for camera in pair], axis=0)
        center = rng.uniform(-volume_m, volume_m, 3) * [1, 1, 0.7] + [0, 0, 1.0]
        world_from_board = facing(rng, board, center, middle, 0.45)
        seen = []
        for camera in cameras:
            corners = see(rng, camera, board, world_from_board, sigma_px, bend_m)
            if corners is not None:
                ids = np.arange(len(corners))
                seen.append(View(camera.name, f"m{moment:03d}", corners, ids))
        if len(seen) >= 2:
            views += seen
            moment += 1
    return views


def closeups(
    rng: np.random.Generator,
    camera: Camera,
    board: Board,
    count: int,
    sigma_px: float,
    bend_m: tuple[float, float] = (0.0, 0.0),
) -> list[View]:
    """Boards that fill the picture of one camera, tilted."""
    views: list[View] = []
    while len(views) < count:
        depth = rng.uniform(0.7, 2.0)
        spot_cam = np.array([rng.uniform(-0.35, 0.35), rng.uniform(-0.2, 0.2), 1.0]) * depth
        world_from_cam = inverse(camera.cam_from_world)
        spot = world_from_cam[:3, :3] @ spot_cam + world_from_cam[:3, 3]
        world_from_board = facing(rng, board, spot, camera.center_world, 0.6)
        corners = see(rng, camera, board, world_from_board, sigma_px, bend_m)
        if corners is not None:
            name = f"c{len(views):03d}"
            views.append(View(camera.name, name, corners, np.arange(len(corners)), shared=False))
    return views


def facing(
    rng: np.random.Generator, board: Board, center: F64, toward: F64, tilt_rad: float
) -> F64:
    """world_from_board of a board at a place, its print toward a point, tilted at random."""
    away = center - toward
    away = away / np.linalg.norm(away)
    right = np.cross(away, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(away, right), away], axis=1)
    R = R @ rotation_from_vector(rng.uniform(-tilt_rad, tilt_rad, 3))
    return transform(R, center - R @ board.points_board.mean(axis=0))


def see(
    rng: np.random.Generator,
    camera: Camera,
    board: Board,
    world_from_board: F64,
    sigma_px: float,
    bend_m: tuple[float, float] = (0.0, 0.0),
) -> F64 | None:
    """(N, 2) noisy corners, or None if the board is not wholly visible from its front."""
    bent = board.points_board + np.outer(board.bowl @ bend_m, [0.0, 0.0, 1.0])
    points = bent @ world_from_board[:3, :3].T + world_from_board[:3, 3]
    normal = world_from_board[:3, 2]
    ray = points.mean(axis=0) - camera.center_world
    if normal @ ray < 0.3 * np.linalg.norm(ray):
        return None
    corners = project(camera, points)
    width, height = camera.size_px
    inside = (corners > 10).all() and (corners < [width - 10, height - 10]).all()
    depth = points @ camera.cam_from_world[2, :3] + camera.cam_from_world[2, 3]
    if not inside or depth.min() < 0.3:
        return None
    return corners + rng.normal(0, sigma_px, corners.shape)


def make_world(
    seed: int,
    *,
    moments: int = 60,
    close: int = 20,
    sigma_px: float = 0.2,
    square_mm: float = 80.0,
    spoil: int = 0,
    stereo: bool = False,
    bend_m: tuple[float, float] = (0.0, 0.0),
    away_m: float = 3.0,
    volume_m: float = 0.8,
) -> World:
    """The ring of four with noisy views, or a stereo pair; `spoil` of each of three kinds."""
    rng = np.random.default_rng(seed)
    board = parse_board("9x6", square_mm)
    cameras = stereo_pair(rng, away_m=away_m) if stereo else ring(rng, radius_m=away_m)
    views = board_moments(rng, cameras, board, moments, sigma_px, volume_m, bend_m=bend_m)
    spoiled: dict[tuple[str, str, bool], str] = {}
    if spoil:
        # Of its own seed: the views that are not spoiled are those of the clean world.
        views, spoiled = spoil_views(np.random.default_rng([seed, 1]), cameras, board, views, spoil)
    for camera in cameras:
        views += closeups(rng, camera, board, close, sigma_px, bend_m)
    return World(cameras, board, tuple(views), spoiled)


def spoil_views(
    rng: np.random.Generator,
    cameras: Sequence[Camera],
    board: Board,
    views: list[View],
    each: int,
) -> tuple[list[View], dict[tuple[str, str, bool], str]]:
    """Views turned by half, 30 mm late, and with a quarter of the corners off by 8 px."""
    by_name = {camera.name: camera for camera in cameras}
    out = list(views)
    spoiled: dict[tuple[str, str, bool], str] = {}
    # One spoiled view a moment: two of them could agree with each other.
    moments = rng.permutation(sorted({view.moment for view in views}))[: 3 * each]
    for number, moment in enumerate(moments):
        rows = [row for row, view in enumerate(out) if view.moment == moment]
        row = int(rng.choice(rows))
        view = out[row]
        kind = ("flipped", "desync", "corners")[number % 3]
        corners = view.corners_px.copy()
        if kind == "flipped":
            corners = corners[::-1].copy()
        elif kind == "desync":
            camera = by_name[view.camera]
            depth = camera.K[0, 0] * board.square_m / _pitch(corners, board)
            turn = rng.uniform(0, 2 * np.pi)
            corners += 0.03 * camera.K[0, 0] / depth * np.array([np.cos(turn), np.sin(turn)])
        else:
            hit = rng.permutation(len(corners))[: len(corners) // 4]
            corners[hit] += rng.choice([-8.0, 8.0], (len(hit), 2))
        out[row] = View(view.camera, view.moment, corners, view.ids)
        spoiled[view.key] = kind
    return out, spoiled


def _pitch(corners: F64, board: Board) -> float:
    columns, rows = board.inner_corners
    grid = corners.reshape(rows, columns, 2)
    return float(np.linalg.norm(np.diff(grid, axis=1), axis=2).mean())


def render(
    camera: Camera,
    board: Board,
    world_from_board: F64,
    *,
    blur: float = 0.8,
    seed: int = 0,
    noise: float = 2.0,
    mirrored: bool = False,
) -> NDArray[np.uint8]:
    """(H, W) grey picture of the board on clutter, three times supersampled, no distortion.

    Of a ChArUco board `mirrored` shows the print as it shines through the back.
    """
    rng = np.random.default_rng(seed)
    width, height = camera.size_px
    cell = 40
    texture = _print(board, cell, mirrored)
    scale = 3
    K = camera.K.copy()
    S = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1.0]])
    T = camera.cam_from_world @ world_from_board
    plane = S @ K @ np.column_stack([T[:3, 0], T[:3, 1], T[:3, 3]])  # board metres -> pixel
    step = board.square_m / cell
    # texture pixel (u, v) lies at ((u + 0.5) * step - 2 squares) on the board
    to_board = np.array(
        [
            [step, 0, 0.5 * step - 2 * board.square_m],
            [0, step, 0.5 * step - 2 * board.square_m],
            [0, 0, 1.0],
        ]
    )
    H = plane @ to_board
    size = (width * scale, height * scale)
    ground = cv2.resize(
        rng.integers(60, 200, (height // 24, width // 24)).astype(np.uint8),
        size,
        interpolation=cv2.INTER_CUBIC,
    )
    warped = cv2.warpPerspective(texture, H, size, flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.full_like(texture, 255), H, size, flags=cv2.INTER_NEAREST)
    full = np.where(mask > 0, warped, ground)
    small = cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), blur).astype(np.float64)
    return np.clip(small + rng.normal(0, noise, small.shape), 0, 255).astype(np.uint8)


def _print(board: Board, cell: int, mirrored: bool) -> NDArray[np.uint8]:
    """The print with a border of one square, `cell` pixels a square."""
    columns, rows = board.inner_corners
    if board.kind == "charuco":
        markers = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
        squares = (columns + 1, rows + 1)
        target = cv2.aruco.CharucoBoard(squares, 1.0, board.marker_ratio, markers)
        size = ((columns + 1) * cell, (rows + 1) * cell)
        inside = np.asarray(target.generateImage(size, marginSize=0), np.uint8)
        whole = np.pad(inside, cell, constant_values=255)
        whole = np.where(whole > 127, 225, 30).astype(np.uint8)
        whole = np.asarray(255 - whole, np.uint8) if board.inverted else whole
        return np.ascontiguousarray(whole[:, ::-1]) if mirrored else whole
    # a white border of one square; the square before the first inner corner is dark
    picture = np.full((rows + 3, columns + 3), 225, np.uint8)
    picture[1:-1, 1:-1] = np.where(np.indices((rows + 1, columns + 1)).sum(axis=0) % 2, 225, 30)
    return np.kron(picture, np.ones((cell, cell), np.uint8))
