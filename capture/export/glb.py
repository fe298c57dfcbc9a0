"""GLB (glTF 2.0, binary): animated stick figures that open in any viewer.

Metres, y up: glTF (X, Y, Z) = world (y, z, x). Each bone and joint is a node that the animation
moves, turns and stretches; while a joint is missing its bones have no size. Viewers that play no
animation show everybody where they were first seen. Left is orange, right is blue, as in our
pictures.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.skeleton import COCO17

from ..people import F64, Frame
from .markers import markers_of

__all__ = ["glb_bytes"]

BONE_RADIUS_M, JOINT_RADIUS_M = 0.018, 0.03
SIDES = 10  # of a bone's cylinder
COLORS = {"left": (1.0, 0.59, 0.24), "right": (0.25, 0.69, 1.0), "middle": (0.93, 0.93, 0.93)}
FLOAT, UNSIGNED_SHORT = 5126, 5123  # glTF's component types
_SIZE = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def glb_bytes(frames: Sequence[Frame], rate_hz: float) -> bytes:
    """The take as a GLB file, one animation of all people.

    Args:
        frames: in order of time, identities given.
        rate_hz: of the keyframes; while a frame is dropped people vanish.

    Raises:
        ExportError: there is nobody in the take.
    """
    markers = markers_of(frames, rate_hz)
    bodies = markers.positions[:, :, [1, 2, 0]].reshape(len(markers.positions), -1, 17, 3)
    ids = sorted({person.id for frame in frames for person in frame.people if person.id >= 0})
    scene = _Scene()
    meshes = _meshes(scene)
    times = scene.accessor(np.arange(len(bodies)) / rate_hz, "SCALAR", limits=True)
    for column, identity in enumerate(ids):
        children = _figure(scene, bodies[:, column], meshes, times)
        scene.nodes.append({"name": f"p{identity}", "children": children})
        scene.roots.append(len(scene.nodes) - 1)
    return scene.packed()


class _Scene:
    """A glTF document being made: collects nodes, channels and binary data."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.roots: list[int] = []
        self.meshes: list[dict[str, Any]] = []
        self.channels: list[dict[str, Any]] = []
        self.samplers: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []
        self.data = bytearray()

    def accessor(self, values: NDArray[Any], kind: str, *, limits: bool = False) -> int:
        """The number of an accessor to these values; whole numbers become unsigned shorts."""
        whole = values.dtype.kind in "iu"
        array = np.ascontiguousarray(values, dtype="<u2" if whole else "<f4")
        flat = array.reshape(-1, _SIZE[kind])
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        self.data += array.tobytes() + b"\0" * (-array.nbytes % 4)
        self.views.append(view)
        component = UNSIGNED_SHORT if whole else FLOAT
        entry: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": component,
            "count": len(flat),
            "type": kind,
        }
        if limits:
            entry |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def animated(
        self, name: str, mesh: int, times: int, paths: dict[str, tuple[F64, str]], rest: int
    ) -> int:
        """The number of a node that moves: path -> (values per frame, interpolation).

        At rest it is as in that frame.
        """
        pose = {path: np.round(values[rest], 6).tolist() for path, (values, _) in paths.items()}
        self.nodes.append({"name": name, "mesh": mesh, **pose})
        node = len(self.nodes) - 1
        for path, (values, interpolation) in paths.items():
            kind = "VEC4" if path == "rotation" else "VEC3"
            sampler = {"input": times, "output": self.accessor(values, kind)}
            self.samplers.append({**sampler, "interpolation": interpolation})
            target = {"node": node, "path": path}
            self.channels.append({"sampler": len(self.samplers) - 1, "target": target})
        return node

    def packed(self) -> bytes:
        """The whole as GLB."""
        document = {
            "asset": {"version": "2.0", "generator": "quadglass", "extras": {"up": "y"}},
            "scene": 0,
            "scenes": [{"nodes": self.roots}],
            "nodes": self.nodes,
            "meshes": self.meshes,
            "materials": [
                {
                    "name": name,
                    "pbrMetallicRoughness": {
                        "baseColorFactor": [*color, 1.0],
                        "metallicFactor": 0.0,
                        "roughnessFactor": 0.6,
                    },
                }
                for name, color in COLORS.items()
            ],
            "animations": [{"name": "take", "channels": self.channels, "samplers": self.samplers}],
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": len(self.data)}],
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(self.data)
        return b"".join(
            (
                struct.pack("<III", 0x46546C67, 2, total),
                struct.pack("<II", len(text), 0x4E4F534A) + text,
                struct.pack("<II", len(self.data), 0x004E4942) + bytes(self.data),
            )
        )


def _meshes(scene: _Scene) -> dict[tuple[str, str], int]:
    """A cylinder of length 1 along +y and a ball, in each colour: (shape, side) -> mesh."""
    result = {}
    for shape, (points, normals, faces) in (("bone", _cylinder()), ("joint", _ball())):
        attributes = {
            "POSITION": scene.accessor(points, "VEC3", limits=True),
            "NORMAL": scene.accessor(normals, "VEC3"),
        }
        indices = scene.accessor(faces.ravel(), "SCALAR")
        for material, side in enumerate(COLORS):
            primitive = {"attributes": attributes, "indices": indices, "material": material}
            scene.meshes.append({"name": f"{side}_{shape}", "primitives": [primitive]})
            result[shape, side] = len(scene.meshes) - 1
    return result


def _figure(scene: _Scene, body: F64, meshes: dict[tuple[str, str], int], times: int) -> list[int]:
    """Nodes of one person (F, 17, 3) in glTF's axes."""
    there = np.isfinite(body[..., 0])  # (F, J)
    held = _held(body, there)
    nodes = []
    for joint, name in enumerate(COCO17.joints):
        if there[:, joint].any():
            size = np.repeat(there[:, joint, None], 3, axis=1).astype(np.float64)
            paths = {"translation": (held[:, joint], "LINEAR"), "scale": (size, "STEP")}
            mesh, rest = meshes["joint", _side(name)], int(there[:, joint].argmax())
            nodes.append(scene.animated(name, mesh, times, paths, rest))
    for first, second in COCO17.edges:
        both = there[:, first] & there[:, second]
        if not both.any():
            continue
        along = held[:, second] - held[:, first]
        length = np.where(both, np.linalg.norm(along, axis=1), 0.0)
        size = np.stack([both, length, both], axis=1).astype(np.float64)
        one, other = COCO17.joints[first], COCO17.joints[second]
        side = _side(one) if _side(one) == _side(other) else "middle"
        paths = {
            "translation": (held[:, first], "LINEAR"),
            "rotation": (_turns(along), "LINEAR"),
            "scale": (size, "STEP" if not both.all() else "LINEAR"),
        }
        mesh, rest = meshes["bone", side], int(both.argmax())
        nodes.append(scene.animated(f"{one}-{other}", mesh, times, paths, rest))
    return nodes


def _side(name: str) -> str:
    head = name.split("_")[0]
    return head if head in ("left", "right") else "middle"


def _held(body: F64, there: NDArray[np.bool_]) -> F64:
    """The body with each missing joint where it was last, or will be first; it has no size then."""
    frame = np.arange(len(body))[:, None]
    last = np.maximum.accumulate(np.where(there, frame, -1), axis=0)  # (F, J)
    first = np.where(there.any(axis=0), there.argmax(axis=0), 0)  # (J,)
    source = np.where(last < 0, first, last)
    return np.nan_to_num(np.take_along_axis(body, source[..., None], axis=0))


def _turns(along: F64) -> F64:
    """(F, 4) quaternions x y z w that turn +y to these directions, without sudden sign changes."""
    length = np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    x, y, z = (along / length).T
    # Half-way quaternion: (y_axis x d, 1 + y_axis . d), normalised.
    quaternion = np.stack([z, np.zeros_like(x), -x, 1 + y], axis=1)
    opposite = quaternion[:, 3] < 1e-6
    quaternion[opposite] = [1.0, 0.0, 0.0, 0.0]  # straight down: half a turn about x
    quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)
    steps = (quaternion[1:] * quaternion[:-1]).sum(axis=1)
    signs = np.cumprod(np.concatenate([[1.0], np.where(steps < 0, -1.0, 1.0)]))
    return np.asarray(quaternion * signs[:, None])


def _cylinder() -> tuple[F64, F64, NDArray[np.int64]]:
    """Points, normals and faces of an open cylinder; joints' balls close its ends."""
    angle = 2 * np.pi * np.arange(SIDES) / SIDES
    ring = np.stack([np.cos(angle), np.zeros(SIDES), np.sin(angle)], axis=1)
    points = np.concatenate([ring * BONE_RADIUS_M, ring * BONE_RADIUS_M + [0.0, 1.0, 0.0]])
    k = np.arange(SIDES)
    after = (k + 1) % SIDES
    lower = np.stack([k, k + SIDES, after], axis=1)
    upper = np.stack([after, k + SIDES, after + SIDES], axis=1)
    return points, np.concatenate([ring, ring]), np.concatenate([lower, upper])


def _ball() -> tuple[F64, F64, NDArray[np.int64]]:
    """Points, normals and faces of a ball from an octahedron split twice."""
    points = [np.array(p, dtype=np.float64) for p in
              ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))]  # fmt: skip
    faces = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    for _ in range(2):
        middles: dict[tuple[int, int], int] = {}
        split = []
        for face in faces:
            corners = []
            for a, b in zip(face, face[1:] + face[:1], strict=True):
                key = (min(a, b), max(a, b))
                if key not in middles:
                    middle = points[a] + points[b]
                    points.append(middle / np.linalg.norm(middle))
                    middles[key] = len(points) - 1
                corners.append(middles[key])
            (a, b, c), (ab, bc, ca) = face, corners
            split += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        faces = split
    normals = np.array(points)
    return normals * JOINT_RADIUS_M, normals, np.array(faces, dtype=np.int64)
