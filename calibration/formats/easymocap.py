"""EasyMocap's pair of files: `intri.yml` with the lenses, `extri.yml` with the poses.

Both are OpenCV FileStorage. `names` is in both; `K_NAME` and `dist_NAME` (and `W_NAME`, `H_NAME`,
which its readers want for undistorted pictures) in the first, `R_NAME` (rotation vector),
`Rot_NAME` and `T_NAME` in the second, with `x_cam = Rot @ x_world + T` in metres.
"""

from __future__ import annotations

import io
import zipfile

from ..errors import BadRigFile
from ..plain_yaml import MAX_BYTES
from ..rig import Rig
from .imported import imported_rig
from .opencv_storage import (
    cameras_in_pair,
    check_writable,
    lens_to_storage,
    open_to_write,
    pose_to_storage,
    text_of,
)

__all__ = ["EXTRI", "INTRI", "is_zip", "read_easymocap", "read_zip", "write_easymocap"]

INTRI, EXTRI = "intri.yml", "extri.yml"
# A zip may hold pictures too; only the two files are looked at, but a bomb is not even listed.
_MAX_MEMBERS = 1000


def write_easymocap(rig: Rig) -> tuple[str, str]:
    """The texts of `intri.yml` and `extri.yml`.

    Raises:
        BadRigFile: a camera's name or lens cannot be held.
    """
    check_writable(rig)
    texts = []
    for write in (lens_to_storage, pose_to_storage):
        storage = open_to_write(rig, "yml")
        for camera in rig.cameras:
            write(storage, camera)
        texts.append(text_of(storage))
    return texts[0], texts[1]


def read_easymocap(intri: bytes, extri: bytes, *, name: str = "rig") -> Rig:
    """The rig in the two files.

    Args:
        intri: the bytes of `intri.yml`.
        extri: the bytes of `extri.yml`.
        name: the rig's name; the files hold none.

    Raises:
        BadRigFile: malformed, or a camera is in one of them only.
    """
    return imported_rig(name, cameras_in_pair(intri, extri))


def is_zip(data: bytes) -> bool:
    """Whether these are the bytes of a zip."""
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def read_zip(data: bytes, *, name: str = "rig") -> Rig:
    """The rig in a zip that holds `intri.yml` and `extri.yml`, in whatever folder.

    Raises:
        BadRigFile: no zip, or one of the two is not in it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return read_easymocap(_member(archive, INTRI), _member(archive, EXTRI), name=name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BadRigFile(f"the zip cannot be read ({error}); pack the two files again") from None


def _member(archive: zipfile.ZipFile, file: str) -> bytes:
    members = archive.infolist()
    found = [one for one in members if one.filename.rsplit("/", 1)[-1] == file]
    if len(members) > _MAX_MEMBERS or len(found) != 1:
        raise BadRigFile(
            f"the zip holds {len(found)} files {file!r} among {len(members)}; pack one {INTRI} and "
            f"one {EXTRI} of EasyMocap, or send the file of another format as it is"
        )
    if found[0].file_size > MAX_BYTES:
        raise BadRigFile(f"{file} has {found[0].file_size} bytes, at most {MAX_BYTES} are read")
    with archive.open(found[0]) as stream:
        return stream.read(MAX_BYTES)
