"""How the files beside this one were made: each tool's own writer, given the same numbers.

Run with the Python of an environment that has the tool: `python write.py caliscope OUT.toml`, or
`aniposelib`, or `pose2sim`; `python write.py easymocap FOLDER` with EasyMocap's `camera_utils.py`
(of easymocap/mytools) on the path. The ROS file is what `camera_calibration_parsers/convert
ros-given.yaml OUT.yaml` (Debian's camera-calibration-parsers-tools) makes of the other one.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import numpy as np

SIZE = (1280, 720)
FOCAL_X = (900.5, 901.5)
DIST = np.array([-0.21, 0.05, 0.001, -0.0005, 0.01])
RVEC = np.array([[0.1, -0.2, 0.3], [0.1, 0.8, 0.3]])
TVEC = np.array([[0.0, -0.1, 2.0], [0.5, -0.1, 2.0]])


def K(index: int) -> np.ndarray:
    return np.array([[FOCAL_X[index], 0.0, 640.5], [0.0, 901.25, 361.0], [0.0, 0.0, 1.0]])


def caliscope(path: str) -> None:
    import cv2
    from caliscope.api import CameraArray, CameraData

    cameras = {}
    for index in range(2):
        camera = CameraData(index, SIZE, matrix=K(index), distortions=DIST)
        camera.rotation, camera.translation = cv2.Rodrigues(RVEC[index])[0], TVEC[index]
        cameras[index] = camera
    CameraArray(cameras).to_toml(path)


def aniposelib(path: str) -> None:
    from aniposelib.cameras import Camera, CameraGroup

    cameras = []
    for index, name in enumerate(("left", "right")):
        camera = Camera(name=name, size=SIZE, rvec=RVEC[index], tvec=TVEC[index])
        camera.set_camera_matrix(K(index))
        camera.set_distortions(DIST)
        cameras.append(camera)
    CameraGroup(cameras).dump(path)


def pose2sim(path: str) -> None:
    # Its module imports OpenSim, which is on no index; the one function needs none of that.
    package = importlib.util.find_spec("Pose2Sim")
    assert package is not None, "install pose2sim"
    assert package.origin is not None, "install pose2sim"
    tree = ast.parse(Path(package.origin).with_name("calibration.py").read_text())
    own = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "toml_write"]
    scope: dict[str, object] = {}
    exec(compile(ast.Module(own, []), "calibration.py", "exec"), scope)
    write = scope["toml_write"]
    assert callable(write)
    write(path, ["left", "right"], [SIZE] * 2, [DIST] * 2, [K(0), K(1)], RVEC, TVEC)


def easymocap(folder: str) -> None:
    import cv2
    from camera_utils import write_camera

    cameras = {
        f"{index + 1:02d}": {
            "K": K(index), "dist": DIST[None], "W": SIZE[0], "H": SIZE[1],
            "R": cv2.Rodrigues(RVEC[index])[0], "T": TVEC[index][:, None],
        }
        for index in range(2)
    }  # fmt: skip
    write_camera(cameras, folder)


if __name__ == "__main__":
    writers = {
        "caliscope": caliscope,
        "aniposelib": aniposelib,
        "pose2sim": pose2sim,
        "easymocap": easymocap,
    }
    writers[sys.argv[1]](sys.argv[2])
