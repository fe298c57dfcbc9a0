"""Real footage made by others, beside the repository; tests skip where it is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.board import parse_board
from calibration.calibrate import CalibrateSettings, Calibration, calibrate_views
from calibration.footage import Clip, Footage
from calibration.formats import read_any
from calibration.rig import Rig
from calibration.views import Sightings, View

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


def caliscope_lenses(session: str) -> Rig:
    """The cameras that caliscope shipped with a session."""
    folder = shared("caliscope-4cam") / session
    return read_any((folder / "camera_array.toml").read_bytes())


def caliscope_calibration(
    session: str, corners: str, names: tuple[str, str, str, str, str], *, flipped: str = ""
) -> Calibration:
    """The rig from the corners that caliscope found, with its own lenses.

    Args:
        session: folder of the recording.
        corners: file of the corners in it.
        names: its columns: corner, x, y in the picture, x, y on the board.
        flipped: a camera whose pictures are taken as if its driver had mirrored them.
    """
    rows = np.genfromtxt(shared("caliscope-4cam") / session / corners, delimiter=",", names=True)
    identity, x, y, along, down = names
    views = []
    for camera, moment in sorted({(int(r["cam_id"]), int(r["sync_index"])) for r in rows}):
        own = rows[(rows["cam_id"] == camera) & (rows["sync_index"] == moment)]
        if len(own) >= 6 and len(np.unique(own[along])) > 1 and len(np.unique(own[down])) > 1:
            pixels = np.stack([own[x], own[y]], axis=1)
            if f"cam_{camera}" == flipped:
                pixels[:, 0] = 1279 - pixels[:, 0]
            ids = own[identity].astype(np.int64)
            views.append(View(f"cam_{camera}", f"{moment:04d}", pixels, ids))
    shipped = caliscope_lenses(session)
    sizes, looked = dict.fromkeys(shipped.names, (1280, 720)), dict.fromkeys(shipped.names, 111)
    known = {camera.name: (camera.K, camera.dist) for camera in shipped.cameras}
    if flipped:
        K, dist = known[flipped]
        K = np.array([[K[0, 0], 0.0, 1279 - K[0, 2]], [0.0, K[1, 1], K[1, 2]], [0.0, 0.0, 1.0]])
        known[flipped] = K, dist * np.where(np.arange(len(dist)) == 3, -1.0, 1.0)
    board = parse_board("charuco:4x5:DICT_4X4_1000:0.75:inverted", 54)
    footage = Footage(tuple(Clip(name, (), ()) for name in shipped.names))
    settings = CalibrateSettings(known_lenses=known)
    return calibrate_views(Sightings(tuple(views), sizes, looked), footage, board, settings)
