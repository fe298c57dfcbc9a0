"""Painted bodies drawn into a picture, nearest in front."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernels.compiled import jit

from .body import DressedPerson

__all__ = ["Canvas", "blank_canvas", "draw_person"]

F32: TypeAlias = NDArray[np.float32]
Int: TypeAlias = NDArray[np.int32]
U8: TypeAlias = NDArray[np.uint8]

_NEAREST_M = 0.2  # faces nearer than this are behind or inside the lens
_DIFFUSE = 1.3  # how much brighter a face towards the light is than one along it


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture under construction; drawing changes it."""

    colors: F32  # (S, S, 3) BGR 0 to 255
    depth: F32  # (S, S) metres of what is drawn, infinite where nothing is
    owner: Int  # (S, S) number of the person drawn, 0 where none is


def blank_canvas(side: int) -> Canvas:
    """Nothing yet."""
    return Canvas(
        np.zeros((side, side, 3), dtype=np.float32),
        np.full((side, side), np.inf, dtype=np.float32),
        np.zeros((side, side), dtype=np.int32),
    )


def draw_person(
    canvas: Canvas,
    person: DressedPerson,
    faces: Int,
    vertices_cam: F32,
    places_px: F32,
    texture: U8,
    light: F32,
    ambient: float,
    number: int,
) -> int:
    """Draw somebody, hidden by whoever is nearer.

    Args:
        canvas: to draw on.
        person: whose paint to use.
        faces: (F, 3) of the body model.
        vertices_cam: (N, 3) x right, y down, z forward.
        places_px: (N, 2) where the vertices fall.
        texture: (h, w, 3) of the clothes.
        light: (3,) direction towards the light, unit.
        ambient: 0 to 1, brightness of what the light does not reach.
        number: to write into ``canvas.owner``.

    Returns:
        How many pixels the person would have covered alone.
    """
    side = canvas.depth.shape[0]
    nearest = np.full((side, side), np.inf, dtype=np.float32)
    face = np.full((side, side), -1, dtype=np.int32)
    corner = np.zeros((side, side, 3), dtype=np.float32)
    _rasterize(places_px, vertices_cam[:, 2].copy(), faces, nearest, face, corner)
    normals = _normals(vertices_cam, faces)
    _shade(
        canvas.colors, canvas.depth, canvas.owner, nearest, face, corner, faces, normals,
        person.colors, person.texture_share, person.texture_at, texture, light,
        np.float32(ambient), number,
    )  # fmt: skip
    return int((face >= 0).sum())


@jit
def _rasterize(places: F32, depth: F32, faces: Int, nearest: F32, face: Int, corner: F32) -> None:
    """Which face each pixel sees, and where in it (perspective-correct weights of its corners)."""
    height, width = nearest.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f]
        if min(depth[a], depth[b], depth[c]) < _NEAREST_M:
            continue
        x0, y0, x1, y1 = places[a, 0], places[a, 1], places[b, 0], places[b, 1]
        x2, y2 = places[c, 0], places[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= -1e-9:  # seen from behind
            continue
        left, right = max(0, int(np.ceil(min(x0, x1, x2)))), min(width - 1, int(max(x0, x1, x2)))
        top, bottom = max(0, int(np.ceil(min(y0, y1, y2)))), min(height - 1, int(max(y0, y1, y2)))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                first = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / area
                second = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / area
                third = 1 - first - second
                if first < 0 or second < 0 or third < 0:
                    continue
                z = 1 / (first / depth[a] + second / depth[b] + third / depth[c])
                if z < nearest[y, x]:
                    nearest[y, x] = z
                    face[y, x] = f
                    corner[y, x, 0] = first * z / depth[a]
                    corner[y, x, 1] = second * z / depth[b]
                    corner[y, x, 2] = third * z / depth[c]


@jit
def _normals(vertices: F32, faces: Int) -> F32:
    """(N, 3) of the vertices, weighted by the areas of their faces, not of unit length."""
    normals = np.zeros_like(vertices)
    for f in range(faces.shape[0]):
        a, b, c = faces[f]
        ux, uy, uz = vertices[b] - vertices[a]
        vx, vy, vz = vertices[c] - vertices[a]
        for vertex in (a, b, c):
            normals[vertex, 0] += uy * vz - uz * vy
            normals[vertex, 1] += uz * vx - ux * vz
            normals[vertex, 2] += ux * vy - uy * vx
    return normals


@jit
def _shade(
    colors: F32,
    depth: F32,
    owner: Int,
    nearest: F32,
    face: Int,
    corner: F32,
    faces: Int,
    normals: F32,
    paint: F32,
    texture_share: F32,
    texture_at: F32,
    texture: U8,
    light: F32,
    ambient: float,
    number: int,
) -> None:
    """Colour the pixels where this person is nearer than what was drawn before."""
    rows, columns = texture.shape[0], texture.shape[1]
    for y in range(face.shape[0]):
        for x in range(face.shape[1]):
            if face[y, x] < 0 or nearest[y, x] >= depth[y, x]:
                continue
            a, b, c = faces[face[y, x]]
            wa, wb, wc = corner[y, x]
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            lit = (nx * light[0] + ny * light[1] + nz * light[2]) / length
            bright = ambient + (1 - ambient) * min(1.0, max(0.0, lit)) * _DIFFUSE
            share = wa * texture_share[a] + wb * texture_share[b] + wc * texture_share[c]
            u = int(wa * texture_at[a, 0] + wb * texture_at[b, 0] + wc * texture_at[c, 0])
            v = int(wa * texture_at[a, 1] + wb * texture_at[b, 1] + wc * texture_at[c, 1])
            for k in range(3):
                plain = wa * paint[a, k] + wb * paint[b, k] + wc * paint[c, k]
                mixed = plain * (1 - share) + texture[v % rows, u % columns, k] * share
                colors[y, x, k] = min(255.0, max(0.0, mixed * bright))
            depth[y, x] = nearest[y, x]
            owner[y, x] = number
