"""Files that the other tools wrote themselves (see `written_by/write.py`)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.formats import (
    read_any,
    read_easymocap,
    write_camera_info,
    write_easymocap,
    write_toml,
)

from .written_by.write import DIST, RVEC, SIZE, TVEC, K

FOLDER = Path(__file__).parent / "written_by"


@pytest.mark.parametrize(
    ("file", "names", "coefficients"),
    [
        ("caliscope-0.11.8.toml", ("cam_0", "cam_1"), 5),
        ("aniposelib-0.8.0.toml", ("left", "right"), 5),
        ("pose2sim-0.10.49.toml", ("left", "right"), 4),  # its writer drops k3
    ],
)
def test_toml_as_its_tools_write_it(file: str, names: tuple[str, ...], coefficients: int) -> None:
    rig = read_any((FOLDER / file).read_bytes())
    assert rig.names == names
    for index, camera in enumerate(rig.cameras):
        assert camera.size_px == SIZE
        np.testing.assert_array_equal(camera.K, K(index))
        expected = DIST.copy()
        expected[coefficients:] = 0.0
        np.testing.assert_array_equal(camera.dist, expected)
        R = cv2.Rodrigues(RVEC[index])[0]
        np.testing.assert_allclose(camera.cam_from_world[:3, :3], R, atol=1e-12)
        np.testing.assert_allclose(camera.cam_from_world[:3, 3], TVEC[index], atol=1e-12)
    again = read_any(write_toml(rig).encode())
    assert again.names == names
    for one, other in zip(rig.cameras, again.cameras, strict=True):
        np.testing.assert_array_equal(one.K, other.K)
        np.testing.assert_allclose(one.cam_from_world, other.cam_from_world, atol=1e-12)


def test_camera_info_as_ros_writes_it() -> None:
    camera = read_any((FOLDER / "ros-camera_calibration_parsers-1.12.0.yaml").read_bytes()).cameras[
        0
    ]
    assert (camera.name, camera.size_px) == ("left", (640, 480))
    assert [camera.K[0, 0], camera.K[1, 1], *camera.K[:2, 2]] == [500.5, 501.5, 320.25, 240.75]
    np.testing.assert_array_equal(camera.dist, [-0.2, 0.05, 0.001, -0.002, 0.01])
    again = read_any(write_camera_info(camera).encode()).cameras[0]
    np.testing.assert_array_equal(again.K, camera.K)
    np.testing.assert_array_equal(again.dist, camera.dist)


def test_easymocaps_two_files_as_it_writes_them() -> None:
    folder = FOLDER / "easymocap-d2a0a2d"
    rig = read_easymocap((folder / "intri.yml").read_bytes(), (folder / "extri.yml").read_bytes())
    assert rig.names == ("01", "02")
    for index, camera in enumerate(rig.cameras):
        assert camera.size_px == SIZE
        # Its writer keeps six decimals.
        np.testing.assert_allclose(camera.K, K(index), atol=1e-6)
        np.testing.assert_allclose(camera.dist, DIST, atol=1e-6)
        R = cv2.Rodrigues(RVEC[index])[0]
        np.testing.assert_allclose(camera.cam_from_world[:3, :3], R, atol=2e-6)
        np.testing.assert_allclose(camera.cam_from_world[:3, 3], TVEC[index], atol=1e-6)
    intri, extri = write_easymocap(rig)
    again = read_easymocap(intri.encode(), extri.encode())
    for one, other in zip(rig.cameras, again.cameras, strict=True):
        np.testing.assert_array_equal(one.K, other.K)
        np.testing.assert_array_equal(one.cam_from_world, other.cam_from_world)
