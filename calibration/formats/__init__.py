"""Rig files of other tools. `read_any` knows them by their content, not by their names."""

from __future__ import annotations

import re

from ..errors import BadRigFile
from ..plain_yaml import MAX_BYTES, load_yaml
from ..rig import Rig
from ..rig_file import rig_from_yaml
from .easymocap import is_zip, read_easymocap, read_zip, write_easymocap
from .kalibr import is_camchain, read_camchain, write_camchain
from .opencv_storage import read_opencv, write_opencv
from .qualisys import read_qca
from .ros import is_camera_info, read_camera_info, write_camera_info
from .toml_cameras import read_toml, write_toml

__all__ = [
    "read_any",
    "read_camchain",
    "read_camera_info",
    "read_easymocap",
    "read_opencv",
    "read_qca",
    "read_toml",
    "write_camchain",
    "write_camera_info",
    "write_easymocap",
    "write_opencv",
    "write_toml",
]

# A table's heading on a line of its own: TOML, and never YAML's block style.
_TOML_TABLE = re.compile(rb"^[ \t]*\[[A-Za-z0-9_.\"' -]+\][ \t]*\r?$", re.MULTILINE)


def read_any(data: bytes, *, name: str = "rig") -> Rig:
    """The rig in a file of any known format.

    Ours, OpenCV FileStorage, Qualisys, TOML of aniposelib, Pose2Sim and caliscope, Kalibr's
    camchain, ROS camera_info; a zip of EasyMocap's intri.yml and extri.yml.

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
    if is_zip(data):
        return read_zip(data, name=name)
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith((b"%YAML", b"{")) or b"<opencv_storage" in head:
        return read_opencv(data, name=name)
    if head.startswith(b"<"):
        return read_qca(data, name=name)
    if _TOML_TABLE.search(data):
        return read_toml(data, name=name)
    content = load_yaml(data)
    if is_camchain(content):
        return read_camchain(content, name=name)
    if is_camera_info(content):
        return read_camera_info(content, name=name)
    return rig_from_yaml(data)
