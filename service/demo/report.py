"""What the demonstration leaves behind and says at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from calibration.rig import Rig
from capture.draw import frame_sheet
from capture.people import Frame
from capture.result import frame_from_json

from ..commands.take_files import summary_table
from ..take_summary import summarize
from .client import Service
from .rendered import Error

__all__ = ["frames_of", "take_table", "write_files", "write_picture"]

Image = NDArray[np.uint8]


def frames_of(answers: Sequence[Mapping[str, Any]]) -> list[Frame]:
    """The service's answers as frames."""
    return [frame_from_json(answer) for answer in answers]


def write_files(service: Service, rig: str, capture: str, folder: Path) -> list[Path]:
    """rig.yaml, take.trc and take.json, as the service gives them."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "rig.yaml": service.rig_yaml(rig).encode(),
        "take.trc": service.export(capture, "trc"),
        "take.json": service.export(capture, "json"),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def write_picture(frame: Frame, rig: Rig, images: Mapping[str, Image], path: Path) -> None:
    """The views with their skeletons, and the people in space."""
    cv2.imwrite(str(path), frame_sheet(images, frame, rig), [cv2.IMWRITE_JPEG_QUALITY, 92])


def take_table(frames: Sequence[Frame], seconds: float, error: Error | None) -> Table:
    """The take in numbers, and what is not known of it."""
    table = summary_table(summarize(frames), seconds)
    table.title, table.title_justify = "The take", "left"
    if error is None:
        table.add_row(
            "not known",
            "how far from the truth: this footage has none; sigma is the triangulation's own word",
        )
        return table
    table.add_row("farthest camera from its true place", f"{error.camera_mm:.1f} mm")
    table.add_row("people found, of those in the scene", f"{100 * error.share_found:.1f} %")
    table.add_row("people made up", str(error.made_up))
    if error.joint_median_mm is None:
        table.add_row("not known", "the error in millimetres: the network found nobody in 3D")
    else:
        table.add_row("error of a joint, median", f"{error.joint_median_mm:.1f} mm")
        table.add_row("error of a joint, mean", f"{error.joint_mean_mm:.1f} mm")
        table.add_row("not known", "how real people differ from these rendered ones")
    return table
