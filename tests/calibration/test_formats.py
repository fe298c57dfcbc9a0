from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import pytest

from calibration.camera import Source, project
from calibration.errors import BadRigFile
from calibration.formats import (
    read_any,
    read_opencv,
    read_qca,
    write_camchain,
    write_camera_info,
    write_opencv,
    write_toml,
)
from calibration.rig import Rig

from .shared_data import shared
from .test_rig_file import full_rig

CAMERA = """<camera active="1" serial="{serial}" viewrotation="{turn}">
<fov_video left="0" top="0" right="639" bottom="479"/>
<transform r11="1" r12="0" r13="0" r21="0" r22="0" r23="1" r31="0" r32="-1" r33="0"
 x="1000" y="-2000" z="1500"/>
<intrinsic focalLengthU="32000" focalLengthV="32064" centerPointU="20480" centerPointV="15360"
 radialDistortion1="{k1}" radialDistortion2="0" tangentalDistortion1="0" tangentalDistortion2="0"
 skew="0"/></camera>"""


def _qca(serial: str = "A", turn: str = "0", k1: str = "-0.1") -> bytes:
    camera = CAMERA.format(serial=serial, turn=turn, k1=k1)
    return f"<calibration><cameras>{camera}</cameras></calibration>".encode()


def test_qualisys_equals_the_reference_conversion() -> None:
    folder = shared("pose2sim-balancing") / "calibration"
    rig = read_any((folder / "Calib.qca.txt").read_bytes(), name="balancing")
    reference = json.loads((folder / "cameras_opencv.json").read_text())["cameras"]
    assert (rig.name, rig.kind, rig.world) == ("balancing", "quad", "imported")
    assert [camera.name for camera in rig.cameras] == [item["name"] for item in reference]
    for camera, item in zip(rig.cameras, reference, strict=True):
        assert camera.size_px == (item["width"], item["height"])
        # The reference is written with 8 (K, t) and 10 (R) decimals.
        np.testing.assert_allclose(camera.K, item["K"], atol=1e-8)
        np.testing.assert_allclose(camera.cam_from_world[:3, :3], item["R"], atol=1e-10)
        np.testing.assert_allclose(camera.cam_from_world[:3, 3], item["t"], atol=1e-8)
        np.testing.assert_allclose(camera.center_world, item["centre"], atol=1e-8)
        np.testing.assert_array_equal(camera.dist[:4], item["dist_k1k2p1p2_as_written"])


def test_a_qualisys_camera_on_paper() -> None:
    camera = read_qca(_qca()).cameras[0]
    assert camera.K[0, 0] == 500.0  # 32000 / 64
    assert camera.size_px == (640, 480)
    np.testing.assert_allclose(camera.center_world, [1.0, -2.0, 1.5])
    # It looks along world +y (its backward axis is (0, -1, 0)): 2 m ahead and level is the centre.
    np.testing.assert_allclose(project(camera, np.array([[1.0, 0.0, 1.5]])), [[320.0, 240.0]])
    # A metre up is 250 px higher in the picture, that is a smaller v.
    up = project(camera, np.array([[1.0, 0.0, 1.6]]))[0]
    assert up[0] == pytest.approx(320.0)
    assert up[1] < 216.0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_qca(turn="90"), "viewrotation"),
        (_qca(k1="nan"), "finite"),
        (_qca(serial="../x"), "not a name"),
        (_qca().replace(b'focalLengthU="32000"', b""), "focalLengthU"),
        (_qca().replace(b'skew="0"', b'skew="2"'), "skew"),
        (_qca().replace(b'active="1"', b'active="0"'), "inactive"),
        (_qca()[:-20], "malformed"),
        (b"<html></html>", "Qualisys"),
    ],
)
def test_what_is_refused_of_qualisys(data: bytes, words: str) -> None:
    with pytest.raises(BadRigFile, match=words):
        read_qca(data)


@pytest.mark.parametrize("extension", ["yml", "xml", "json"])
def test_opencv_storage_comes_back(extension: Literal["yml", "xml", "json"]) -> None:
    rig = _plain_rig()
    back = read_any(write_opencv(rig, extension=extension).encode(), name="studio")
    assert back.names == rig.names
    for before, after in zip(rig.cameras, back.cameras, strict=True):
        assert before.size_px == after.size_px
        np.testing.assert_array_equal(before.K, after.K)
        np.testing.assert_array_equal(before.dist, after.dist)
        np.testing.assert_array_equal(before.cam_from_world, after.cam_from_world)


def test_opencv_storage_refuses_what_it_cannot_say() -> None:
    with pytest.raises(BadRigFile, match="scaled"):
        write_opencv(full_rig())  # its frames have an offset


def test_a_single_camera_as_opencvs_sample_writes_it() -> None:
    storage = cv2.FileStorage(".yml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", np.array([[500.0, 0, 320], [0, 501, 240], [0, 0, 1]]))
    storage.write("distortion_coefficients", np.array([[-0.3, 0.1, 0.0, 0.0]]))
    rig = read_any(storage.releaseAndGetString().encode())
    assert rig.cameras[0].size_px == (640, 480)
    np.testing.assert_array_equal(rig.cameras[0].dist, [-0.3, 0.1, 0, 0, 0])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("W_cam1", "w_cam1", "size in pixels"),
        ("K_cam2", "k_cam2", "missing"),
        ("length_unit: m", "length_unit: mm", "only metres"),
        ("W_cam0: 1920", "W_cam0: .NaN", "size in pixels"),
    ],
)
def test_what_is_refused_of_opencv_storage(old: str, new: str, words: str) -> None:
    text = write_opencv(_plain_rig())
    assert old in text
    with pytest.raises(BadRigFile, match=words):
        read_opencv(text.replace(old, new).encode())


def _plain_rig() -> Rig:
    """The full rig with its frames uncut and unscaled."""
    rig = full_rig()
    return replace(rig, cameras=tuple(replace(c, source=Source()) for c in rig.cameras))


def _same(before: Rig, after: Rig, atol: float = 0.0) -> None:
    for one, other in zip(before.cameras, after.cameras, strict=True):
        assert one.size_px == other.size_px
        np.testing.assert_allclose(one.K, other.K, atol=atol)
        np.testing.assert_allclose(one.dist, other.dist, atol=atol)
        # A rotation vector and back costs a few roundings.
        np.testing.assert_allclose(one.cam_from_world, other.cam_from_world, atol=1e-12)


def test_toml_comes_back_and_is_known_by_content() -> None:
    rig = _plain_rig()
    back = read_any(write_toml(rig).encode(), name="studio")
    assert (back.name, back.names) == ("studio", rig.names)
    _same(rig, back)


def test_caliscopes_own_file() -> None:
    folder = shared("caliscope-4cam") / "charuco_calibration"
    rig = read_any((folder / "camera_array.toml").read_bytes())
    assert rig.names == ("cam_0", "cam_1", "cam_2", "cam_3")
    centers = [camera.center_world for camera in rig.cameras]
    for (a, b), mm in {(0, 1): 1131.8, (0, 2): 549.6, (1, 3): 1432.8, (2, 3): 626.4}.items():
        # The README gives tenths of a millimetre.
        assert 1000 * np.linalg.norm(centers[a] - centers[b]) == pytest.approx(mm, abs=0.06)


def test_camchain_comes_back_and_states_what_k3_cost() -> None:
    rig = _plain_rig()
    text, lost = write_camchain(rig)
    assert 0.0 < lost < 0.1  # k3 is -0.015 here
    back = read_any(text.encode())
    assert back.names == ("cam0", "cam1", "cam2", "cam3")
    reference = rig.cameras[0].cam_from_world
    for one, other in zip(rig.cameras, back.cameras, strict=True):
        expected = one.cam_from_world @ np.linalg.inv(reference)
        np.testing.assert_allclose(other.cam_from_world, expected, atol=1e-12)
        points = np.random.default_rng(0).uniform([-1.3, -0.7, 2], [1.3, 0.7, 3], (100, 3))
        still = replace(one, cam_from_world=np.eye(4))
        moved = replace(other, cam_from_world=np.eye(4))
        off = np.linalg.norm(project(still, points) - project(moved, points), axis=1)
        assert np.sqrt(np.mean(off**2)) < 2 * lost
    plain = replace(
        rig, cameras=tuple(replace(c, dist=c.dist * [1, 1, 1, 1, 0]) for c in rig.cameras)
    )
    assert write_camchain(plain)[1] == 0.0


def test_a_lens_that_needs_k3_is_refused_as_camchain() -> None:
    rig = _plain_rig()
    dist = np.array([-0.25, 0.09, 0, 0, 3.0])
    with pytest.raises(BadRigFile, match="needs k3"):
        write_camchain(replace(rig, cameras=(replace(rig.cameras[0], dist=dist), *rig.cameras[1:])))


def test_camera_info_comes_back() -> None:
    camera = replace(_plain_rig().cameras[2], cam_from_world=np.eye(4))
    back = read_any(write_camera_info(camera).encode()).cameras[0]
    assert back.name == "cam2"
    np.testing.assert_array_equal(back.K, camera.K)
    np.testing.assert_array_equal(back.dist, camera.dist)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[cam_0]\nmatrix = [1, 2", "malformed"),
        ("[other]\nx = 1\n", "0 cameras"),
        ("[cam_0]\nname = 'a'\nmatrix = [[1, 0], [0, 1]]\ntranslation = [0, 0, 0]\nsize = [9, 9]\n"
         "distortions = [0, 0, 0, 0]\nrotation = [0, 0, 0]\n", "9 are wanted"),
        ("[cam_0]\nname = 'a'\nmatrix = 1\ntranslation = [2853.0, 0, 0]\n", "millimetres"),
        ("cam0: {camera_model: omni, intrinsics: [1]}", "omni"),
        ("cam0: {camera_model: pinhole, distortion_model: radtan, intrinsics: [1, .nan, 1, 1]}",
         "not finite"),
        ("camera_matrix: 1\ndistortion_model: magic\n", "magic"),
    ],
)  # fmt: skip
def test_what_is_refused_of_the_other_formats(text: str, words: str) -> None:
    with pytest.raises(BadRigFile, match=words):
        read_any(text.encode())
