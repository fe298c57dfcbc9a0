"""Real footage made by others, beside the repository; tests skip where it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def shared(name: str) -> Path:
    """The folder of one set, or a skip."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: it holds footage that is not part of this repository")
    return folder


def tut_folders(target: Path) -> Path:
    """The tut checkerboard as one folder per camera, PositionPPP.jpg in each."""
    for file in sorted((shared("tut-checkerboard-4cam") / "images").iterdir()):
        position, camera = file.stem.split("_")
        (target / camera).mkdir(parents=True, exist_ok=True)
        (target / camera / f"{position}.jpg").symlink_to(file)
    return target


def stereo_folders(target: Path) -> Path:
    """OpenCV's pairs as folders left and right, with the files' own names."""
    for file in sorted(shared("opencv-stereo").glob("*.jpg")):
        camera = file.stem[:-2]
        (target / camera).mkdir(parents=True, exist_ok=True)
        (target / camera / file.name).symlink_to(file)
    return target
