"""Rigs as files and folders: which format is which word, and what each writes."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadInput
from ..rig import Rig
from ..rig_file import rig_to_yaml
from .easymocap import EXTRI, INTRI, write_easymocap
from .kalibr import write_camchain
from .opencv_storage import write_opencv
from .ros import write_camera_info
from .toml_cameras import write_toml

__all__ = ["RIG_FORMATS", "rig_as_files"]

RIG_FORMATS = ("yaml", "opencv", "easymocap", "toml", "kalibr", "ros")


def rig_as_files(rig: Rig, form: str, path: Path) -> tuple[dict[Path, str], float]:
    """The files that say the rig in a format, and the pixels (RMS) that its lenses lose there.

    Args:
        rig: the rig.
        form: one of `RIG_FORMATS`.
        path: the file; of `easymocap` and `ros`, which are several, the folder.

    Raises:
        BadInput: there is no such format.
        BadRigFile: the format cannot say this rig.
    """
    if form == "yaml":
        return {path: rig_to_yaml(rig)}, 0.0
    if form == "opencv":
        return {path: write_opencv(rig)}, 0.0
    if form == "toml":
        return {path: write_toml(rig)}, 0.0
    if form == "kalibr":
        text, lost_px = write_camchain(rig)
        return {path: text}, lost_px
    if form == "easymocap":
        intri, extri = write_easymocap(rig)
        return {path / INTRI: intri, path / EXTRI: extri}, 0.0
    if form == "ros":
        return {path / f"{c.name}.yaml": write_camera_info(c) for c in rig.cameras}, 0.0
    raise BadInput(
        f"no rig format is called {form[:40]!r}; there are {', '.join(RIG_FORMATS)}",
        field="/format",
    )
