"""Rig files of other tools. `read_any` knows them by their content, not by their names."""

from __future__ import annotations

from ..errors import BadRigFile
from ..plain_yaml import MAX_BYTES
from ..rig import Rig
from ..rig_file import rig_from_yaml
from .opencv_storage import read_opencv, write_opencv
from .qualisys import read_qca

__all__ = ["read_any", "read_opencv", "read_qca", "write_opencv"]


def read_any(data: bytes, *, name: str = "rig") -> Rig:
    """The rig in a file of any known format: ours, OpenCV FileStorage, Qualisys.

    Args:
        data: the file's bytes.
        name: the rig's name, for formats that hold none.

    Raises:
        BadRigFile: the file is malformed, or of no known format.
    """
    if not data.strip():
        raise BadRigFile("the rig file is empty; export or calibrate again")
    if len(data) > MAX_BYTES:
        raise BadRigFile(
            f"the file has {len(data)} bytes, a rig file at most {MAX_BYTES}; is it the right file?"
        )
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith((b"%YAML", b"{")) or b"<opencv_storage" in head:
        return read_opencv(data, name=name)
    if head.startswith(b"<"):
        return read_qca(data, name=name)
    return rig_from_yaml(data)
