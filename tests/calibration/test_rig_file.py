from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import yaml

from calibration.camera import Camera, CameraQuality, CameraSigma, Source
from calibration.errors import BadRigFile
from calibration.formats import read_any
from calibration.rig import (
    Finding,
    Link,
    Rejected,
    Rig,
    RigQuality,
    SigmaAt,
    Target,
    Verdict,
)
from calibration.rig_file import rig_from_yaml, rig_to_yaml
from calibration.stereo import stereo_from

from .boards import ring


def full_rig() -> Rig:
    """A rig that uses every key of the format."""
    cameras = tuple(
        replace(
            camera,
            source=Source("quad.mp4", (0, 0, 1920, 1080), 1.0, (0.0, -7.2)),
            sigma=CameraSigma(0.4, 0.6, 8e-4, 3e-3),
            quality=CameraQuality(0.21, 0.4, 38, 2052, 0.83, 2.4),
        )
        for camera in ring(np.random.default_rng(0))
    )
    return Rig(
        name="studio",
        kind="quad",
        reference="cam0",
        world="floor",
        cameras=cameras,
        created="2026-11-24T10:00:00Z",
        target=Target("chessboard", (9, 6), 0.08),
        stereo=stereo_from(cameras[0], cameras[1]),
        links=(Link("side", np.eye(4), 0.3),),
        quality=RigQuality(0.22, 1.1, 0.25, 0.1, SigmaAt(0.1, 0.6)),
        verdict=Verdict("good", (Finding("few_views", "few", "film more", "cam2"),)),
        rejected=(Rejected("cam1", "17", "flipped", 21.3),),
    )


def _changed(**changes: object) -> str:
    content = yaml.safe_load(rig_to_yaml(full_rig()))
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = content
        for parent in parents:
            target = target[parent]
        target[last] = value
    return yaml.safe_dump(content, sort_keys=False)


MIRROR = [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_a_rig_comes_back_bit_for_bit() -> None:
    rig = full_rig()
    text = rig_to_yaml(rig)
    back = rig_from_yaml(text)
    assert rig_to_yaml(back) == text
    for before, after in zip(rig.cameras, back.cameras, strict=True):
        np.testing.assert_array_equal(before.K, after.K)
        np.testing.assert_array_equal(before.cam_from_world, after.cam_from_world)
        assert before.source == after.source
        assert before.quality == after.quality
    assert back.quality == rig.quality
    assert back.verdict == rig.verdict
    assert back.rejected == rig.rejected
    assert rig.stereo is not None
    assert back.stereo is not None
    np.testing.assert_array_equal(back.stereo.Q, rig.stereo.Q)


def test_the_layout_of_the_file_is_the_documented_one() -> None:
    content = yaml.safe_load(rig_to_yaml(full_rig()))
    assert list(content) == [
        "format", "created", "tool", "units", "convention", "rig", "target", "cameras", "stereo",
        "links", "quality", "verdict", "rejected",
    ]  # fmt: skip
    assert content["format"] == "quadglass-rig/1"
    assert list(content["cameras"]["cam0"]) == [
        "image_size", "source", "model", "K", "distortion", "R", "t", "sigma", "quality",
    ]  # fmt: skip


def test_a_file_written_by_hand_with_the_least_keys() -> None:
    text = """
format: quadglass-rig/1
created: 2026-11-24T10:00:00Z
units: {length: m, angle: rad}
rig: {name: mine, kind: multi, reference: a, world: imported}
cameras:
  a:
    image_size: [640, 480]
    K: [[500, 0, 320], [0, 500, 240], [0, 0, 1]]
    distortion: [0, 0, 0, 0, 0]
    R: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    t: [0, 0, 1e-3]
rejected: [{camera: a, frame: 17, reason: blur, value: 3}]
"""
    rig = read_any(text.encode())
    assert rig.created == "2026-11-24T10:00:00Z"
    assert rig.camera("a").cam_from_world[2, 3] == 1e-3
    assert rig.camera("a").frame_size_px == (640, 480)
    assert rig.rejected[0].frame == "17"


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        (_changed(cameras__cam0__colour="red"), "/cameras/cam0/colour", "unknown key"),
        (_changed(speed=3), "/speed", "unknown key"),
        (_changed(cameras__cam0__t=[0, float("nan"), 0]), "/cameras/cam0/t/1", "finite"),
        (_changed(cameras__cam0__t=[0, float("inf"), 0]), "/cameras/cam0/t/1", "finite"),
        (_changed(cameras__cam0__K=[[1, 0], [0, 1]]), "/cameras/cam0/K/0", "3 items"),
        (_changed(cameras__cam0__K=[[-1, 0, 1], [0, 1, 1], [0, 0, 1]]), "/cameras/cam0/K", "fx"),
        (_changed(cameras__cam0__distortion=[0, 0, 0, 0]), "/cameras/cam0", "5 or 8"),
        (_changed(cameras__cam0__R=MIRROR), "/cameras/cam0/R", "mirror"),
        (_changed(cameras__cam0__image_size=[0, 5]), "/cameras/cam0/image_size/0", "greater"),
        (_changed(units={"length": "mm", "angle": "rad"}), "/units/length", "'m'"),
        (_changed(rig__reference="cam9"), "/", "cam9"),
        (_changed(rig__kind="stereo"), "/", "stereo rig has 2"),
        (_changed(rig__name="../../etc"), "/rig/name", "not a name"),
        (_changed(format="quadglass-rig/2"), "/format", "quadglass-rig/1"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(text: str, field: str, words: str) -> None:
    with pytest.raises(BadRigFile, match=words) as caught:
        rig_from_yaml(text)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", "a..b", "", "x" * 65, "a\\b", "-x"])
def test_a_camera_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    content = yaml.safe_load(rig_to_yaml(full_rig()))
    content["cameras"][name] = content["cameras"].pop("cam3")
    with pytest.raises(BadRigFile):
        rig_from_yaml(yaml.safe_dump(content))


def test_a_camera_given_twice_is_refused() -> None:
    text = rig_to_yaml(full_rig()).replace("  cam1:", "  cam0:")
    with pytest.raises(BadRigFile, match="stands twice"):
        rig_from_yaml(text)
    rig = full_rig()
    with pytest.raises(BadRigFile, match="share a name"):
        rig_to_yaml(replace(rig, cameras=(rig.cameras[0],) * 4))


def test_a_rig_that_could_not_be_read_back_is_not_written() -> None:
    rig = full_rig()
    broken = Camera("cam9", (10, 10), np.full((3, 3), np.nan), np.zeros(5), np.eye(4))
    with pytest.raises(BadRigFile, match="finite"):
        rig_to_yaml(replace(rig, kind="multi", cameras=(*rig.cameras, broken)))


BOMB = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "data",
    [
        BOMB.encode(),
        b"[" * 200_000,
        b"x: " + b"9" * 100_000,
        b"x" * 1_000_000,
        b"a: !!python/object/apply:os.system [ls]",
        b"\xff\xfe\x00\x00",
        b"? [a, b]\n: 3",
        b"",
        b"   \n",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><calibration>&a;</calibration>',
        b"%YAML:1.0\n---\nnames: 3\n",
        b"%YAML:1.0\n---\nnames: [ a ]\nK_a: !!opencv-matrix\n   rows: 100000\n   cols: 100000\n"
        b"   dt: d\n   data: [ 1. ]\nT_a: 1\n",
        b'{"names": [1, 2',
        b"GIF89a",
    ],
)
def test_hostile_and_broken_files_are_refused_quickly(data: bytes) -> None:
    start = time.perf_counter()
    with pytest.raises(BadRigFile):
        read_any(data)
    # Measured 5 ms; a bomb that went off would take minutes.
    assert time.perf_counter() - start < 2.0
