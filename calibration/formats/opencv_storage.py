"""Rigs as OpenCV FileStorage (YAML, XML or JSON), keys as in EasyMocap's intri/extri files.

One file holds `names` and, per camera, `K_NAME`, `dist_NAME`, `W_NAME`, `H_NAME`, `Rot_NAME` (3x3),
`R_NAME` (rotation vector) and `T_NAME` (metres), with `x_cam = Rot @ x_world + T`. A file of one
camera with `camera_matrix`, `distortion_coefficients`, `image_width` and `image_height`, as
OpenCV's own calibration sample writes it, is read too.
"""

from __future__ import annotations

import re
from typing import Literal

import cv2
import numpy as np

from ..camera import F64, Camera
from ..errors import BadRigFile
from ..rig import Rig
from ..rig_schema import MAX_CAMERAS
from .imported import imported_rig

__all__ = ["read_opencv", "write_opencv"]

Extension = Literal["yml", "xml", "json"]
_KEY = re.compile(r"[A-Za-z0-9_-]+")
# The largest matrix of a camera is 3x3; a declared size is checked before OpenCV allocates it.
_MAX_ELEMENTS = 64
_BROKEN = (UnicodeDecodeError, SystemError, cv2.error)


def write_opencv(rig: Rig, *, extension: Extension = "yml") -> str:
    """The cameras of a rig as one FileStorage text. Stereo, quality and verdict are not in it.

    Raises:
        BadRigFile: a camera's name or lens cannot be held.
    """
    check_writable(rig)
    storage = open_to_write(rig, extension)
    for camera in rig.cameras:
        lens_to_storage(storage, camera)
        pose_to_storage(storage, camera)
    return text_of(storage)


def check_writable(rig: Rig) -> None:
    """Nothing, if the format can say all of the rig's cameras.

    Raises:
        BadRigFile: a camera's name or lens cannot be held.
    """
    for camera in rig.cameras:
        if not _KEY.fullmatch(camera.name):
            raise BadRigFile(
                f"FileStorage keys cannot hold the camera name {camera.name!r}; "
                "rename it to letters, digits, '_' and '-'",
                camera=camera.name,
            )
        if camera.model != "pinhole" or not _plain(camera):
            raise BadRigFile(
                f"camera {camera.name!r} is a fisheye, or its frames are scaled ('source'), which "
                "this format cannot say; write the rig as YAML",
                camera=camera.name,
            )


def open_to_write(rig: Rig, extension: Extension) -> cv2.FileStorage:
    """A FileStorage in memory that holds the unit and the cameras' names."""
    storage = cv2.FileStorage(f".{extension}", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.write("length_unit", "m")
    storage.startWriteStruct("names", cv2.FileNode_SEQ)
    for camera in rig.cameras:
        storage.write("", camera.name)
    storage.endWriteStruct()
    return storage


def lens_to_storage(storage: cv2.FileStorage, camera: Camera) -> None:
    """W, H, K and dist of a camera."""
    storage.write(f"W_{camera.name}", int(camera.size_px[0]))
    storage.write(f"H_{camera.name}", int(camera.size_px[1]))
    storage.write(f"K_{camera.name}", camera.K)
    storage.write(f"dist_{camera.name}", camera.dist.reshape(1, -1))


def pose_to_storage(storage: cv2.FileStorage, camera: Camera) -> None:
    """R, Rot and T of a camera."""
    rotation = np.ascontiguousarray(camera.cam_from_world[:3, :3])
    storage.write(f"R_{camera.name}", np.asarray(cv2.Rodrigues(rotation)[0]))
    storage.write(f"Rot_{camera.name}", rotation)
    storage.write(f"T_{camera.name}", camera.cam_from_world[:3, 3].reshape(3, 1))


def text_of(storage: cv2.FileStorage) -> str:
    """What was written; the storage is closed."""
    return str(storage.releaseAndGetString())


def read_opencv(data: bytes, *, name: str = "rig") -> Rig:
    """The rig in a FileStorage text.

    Args:
        data: the file's bytes; YAML, XML or JSON.
        name: the rig's name; the format holds none.

    Raises:
        BadRigFile: malformed, or a matrix is missing or of a wrong shape.
    """
    try:
        cameras = _cameras(_opened(data))
    except _BROKEN as error:
        raise _no_storage(error) from None
    return imported_rig(name, cameras)


def cameras_in_pair(lenses: bytes, poses: bytes) -> tuple[Camera, ...]:
    """The cameras whose lenses are in one text and whose poses in another.

    Raises:
        BadRigFile: malformed, or a matrix is missing or of a wrong shape.
    """
    try:
        first, second = _opened(lenses), _opened(poses)
        names = _names(first)
        if sorted(names) != sorted(_names(second)):
            raise BadRigFile(
                f"the lenses are of {', '.join(names)}, the poses of {', '.join(_names(second))}; "
                "take both files from one calibration",
                field="/names",
            )
        return tuple(_named_camera(first, second, name) for name in names)
    except _BROKEN as error:
        raise _no_storage(error) from None


def _opened(data: bytes) -> cv2.FileStorage:
    text = data.decode("utf-8-sig")
    return cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)


def _no_storage(error: Exception) -> BadRigFile:
    reason = " ".join(str(error).split())[:200]
    return BadRigFile(f"not an OpenCV FileStorage file: {reason}; export it again")


def _plain(camera: Camera) -> bool:
    return camera.source.scale == 1.0 and tuple(camera.source.offset_px) == (0.0, 0.0)


def _cameras(storage: cv2.FileStorage) -> tuple[Camera, ...]:
    if storage.getNode("names").isSeq():
        names = _names(storage)
        if names and not storage.getNode(f"T_{names[0]}").isMap():
            raise BadRigFile(
                f"the file has no pose T_{names[0]}: of EasyMocap's intri.yml and extri.yml give "
                "both, in one folder or as a zip",
                field=f"/T_{names[0][:80]}",
            )
        if names and not storage.getNode(f"K_{names[0]}").isMap():
            raise BadRigFile(
                f"the matrix K_{names[0]} is missing: of EasyMocap's intri.yml and extri.yml give "
                "both, in one folder or as a zip",
                field=f"/K_{names[0][:80]}",
            )
        return tuple(_named_camera(storage, storage, name) for name in names)
    _check_unit(storage)
    if not storage.getNode("camera_matrix").empty():
        return (_single_camera(storage),)
    raise BadRigFile(
        "the FileStorage file has neither 'names' with K_NAME, dist_NAME, Rot_NAME, T_NAME "
        "nor 'camera_matrix'; write it with one of these layouts"
    )


def _check_unit(storage: cv2.FileStorage) -> None:
    unit = storage.getNode("length_unit")
    if unit.isString() and unit.string() != "m":
        raise BadRigFile(f"length_unit is {unit.string()!r}; only metres ('m') are read")


def _names(storage: cv2.FileStorage) -> list[str]:
    _check_unit(storage)
    names = storage.getNode("names")
    if not names.isSeq() or not 1 <= names.size() <= MAX_CAMERAS:
        count = names.size() if names.isSeq() else 0
        raise BadRigFile(f"the file names {count} cameras; 1 to {MAX_CAMERAS} are read")
    return [names.at(index).string() for index in range(names.size())]


def _named_camera(lenses: cv2.FileStorage, poses: cv2.FileStorage, name: str) -> Camera:
    if not _KEY.fullmatch(name):
        raise BadRigFile(f"{name[:80]!r} is not a camera name of this format", field="/names")
    cam_from_world = np.eye(4)
    if not poses.getNode(f"Rot_{name}").empty():
        cam_from_world[:3, :3] = _matrix(poses, f"Rot_{name}", (3, 3))
    else:
        rvec = _matrix(poses, f"R_{name}", None).reshape(-1)
        if rvec.shape != (3,):
            raise BadRigFile(f"R_{name} must hold a rotation vector of 3", field=f"/R_{name}")
        cam_from_world[:3, :3] = cv2.Rodrigues(rvec)[0]
    cam_from_world[:3, 3] = _matrix(poses, f"T_{name}", (3, 1))[:, 0]
    return Camera(
        name=name,
        size_px=(_count(lenses, f"W_{name}"), _count(lenses, f"H_{name}")),
        K=_matrix(lenses, f"K_{name}", (3, 3)),
        dist=_distortion(lenses, f"dist_{name}"),
        cam_from_world=cam_from_world,
    )


def _single_camera(storage: cv2.FileStorage) -> Camera:
    return Camera(
        name="cam0",
        size_px=(_count(storage, "image_width"), _count(storage, "image_height")),
        K=_matrix(storage, "camera_matrix", (3, 3)),
        dist=_distortion(storage, "distortion_coefficients"),
        cam_from_world=np.eye(4),
    )


def _matrix(storage: cv2.FileStorage, key: str, shape: tuple[int, int] | None) -> F64:
    node = storage.getNode(key)
    if not node.isMap():
        raise BadRigFile(f"the matrix {key} is missing; export the file again", field=f"/{key}")
    declared = int(node.getNode("rows").real()), int(node.getNode("cols").real())
    if min(declared) < 1 or declared[0] * declared[1] > _MAX_ELEMENTS:
        raise BadRigFile(f"{key} is declared {declared[0]}x{declared[1]}", field=f"/{key}")
    matrix = np.asarray(node.mat(), dtype=np.float64)
    if shape is not None and matrix.shape != shape:
        raise BadRigFile(
            f"{key} is {'x'.join(map(str, matrix.shape))}, {shape[0]}x{shape[1]} is wanted",
            field=f"/{key}",
        )
    return matrix


def _distortion(storage: cv2.FileStorage, key: str) -> F64:
    dist = _matrix(storage, key, None).reshape(-1)
    # OpenCV itself takes four coefficients as k3 = 0.
    return np.append(dist, 0.0) if dist.size == 4 else dist


def _count(storage: cv2.FileStorage, key: str) -> int:
    node = storage.getNode(key)
    if not node.isInt():
        raise BadRigFile(
            f"{key} is missing: the picture's size in pixels is needed; add it", field=f"/{key}"
        )
    return int(node.real())
