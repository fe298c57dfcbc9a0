"""Damaged pictures and files: an answer or an error of ours, never another, never a hang."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.formats import read_any
from capture.detections import read_people
from capture.errors import CaptureError
from capture.result import frame_from_json
from capture.timestamps import read_timestamps
from models.skeleton import COCO17
from service.config import load_settings
from service.decode import decode
from service.errors import ServiceError
from service.framing import unpacked

from .world import RIG_YAML

# What stands in such files, and what stands there to harm.
WORDS = (
    b"", b"\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"-1", b"1e999", b"nan", b".inf",
    b"null", b"[", b"]", b"{", b"}", b": ", b"&a ", b"*a", b"!!python/name:os.system", b"'", b"\n",
    b"\n- ", b'"', b"<!ENTITY a 'b'>", b"9" * 400, b"[" * 3000, b"\xc3\x28", b"true", b"1979-05-27",
)  # fmt: skip
TOML = b"""
[cam0]
name = "a"
size = [640, 480]
matrix = [[600.0, 0.0, 320.0], [0.0, 600.0, 240.0], [0.0, 0.0, 1.0]]
distortions = [0.0, 0.0, 0.0, 0.0]
rotation = [0.0, 0.0, 0.0]
translation = [0.0, 0.0, 0.0]
[metadata]
adjusted = false
"""
CAMCHAIN = b"""
cam0:
  camera_model: pinhole
  intrinsics: [600.0, 600.0, 320.0, 240.0]
  distortion_model: radtan
  distortion_coeffs: [0.0, 0.0, 0.0, 0.0]
  resolution: [640, 480]
"""
OPENCV = b"""%YAML:1.0
---
camera_matrix: !!opencv-matrix
  rows: 3
  cols: 3
  dt: d
  data: [600., 0., 320., 0., 600., 240., 0., 0., 1.]
distortion_coefficients: !!opencv-matrix
  rows: 1
  cols: 4
  dt: d
  data: [0., 0., 0., 0.]
image_width: 640
image_height: 480
"""
OPENPOSE = json.dumps({"version": 1.3, "people": [{"pose_keypoints_2d": [1.0, 2.0, 0.9] * 17}]})
JOINTS = [
    {"name": name, "position": [0.4, 1.0, 0.5], "sigma_mm": 6.1, "score": 0.9, "views": 4,
     "reprojection_px": 2.3, "source": "triangulated"}
    for name in COCO17.joints
]  # fmt: skip
RESULT = json.dumps(
    {
        "rig": "r", "calibration": "c", "capture": "t", "sequence": 1, "timestamp_ns": 5,
        "units": "m", "skeleton": "coco17", "model": {"name": "m", "sha256": "0"},
        "people": [{"id": 1, "score": 0.5, "plausibility": None, "joints": JOINTS, "views": {}}],
        "single_view": {}, "timings_ms": {"decode": 1.0}, "posted": ["cam0"],
    }
)  # fmt: skip
SETTINGS = b"http: {port: 1}\nqueue:\n  length: 3\n"
HEADER = b'{"timestamp_ns": 5, "views": [{"camera": "cam0", "bytes": 4}]}'
MESSAGE = len(HEADER).to_bytes(4, "little") + HEADER + b"\xff\xd8\xff\xd9"


def picture(suffix: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return cv2.imencode(suffix, noise)[1].tobytes()


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with some pieces replaced, put in, taken out or doubled, perhaps cut off."""
    edit = st.tuples(
        st.integers(0, len(whole)),
        st.integers(0, 40),
        st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)),
        st.booleans(),
    )

    def apply(edits: list[tuple[int, int, bytes, bool]], share: float) -> bytes:
        data = whole
        for place, length, word, doubles in edits:
            taken = data[place : place + length]
            put = taken + word + taken if doubles else word
            data = data[:place] + put + data[place + length :]
        return data[: int(len(data) * share)]

    cuts = st.one_of(st.just(1.0), st.floats(0, 1))
    return st.builds(apply, st.lists(edit, min_size=1, max_size=4), cuts)


def in_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def through_disk(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x_000001.json"
            path.write_bytes(data)
            return read(path)

    return through_disk


def result(data: bytes) -> object:
    """As the reader of takes does: JSON first, and what is none never gets here."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return frame_from_json(found)


def shrunk(data: bytes) -> object:
    return decode(data, max_pixels=4_000_000, target_side=16)


READERS: Mapping[str, tuple[Callable[[bytes], object], bytes]] = {
    **{suffix: (shrunk, picture(suffix)) for suffix in (".jpg", ".png", ".webp", ".bmp", ".tiff")},
    "rig.yaml": (read_any, RIG_YAML),
    "rig.toml": (read_any, TOML),
    "camchain": (read_any, CAMCHAIN),
    "opencv": (read_any, OPENCV),
    "openpose": (in_file(read_people), OPENPOSE.encode()),
    "result": (result, RESULT.encode()),
    "timestamps": (in_file(read_timestamps), b"timestamp_ms,a\n1.0,2\n34.3,2\n67.6,1\n"),
    "message": (lambda data: unpacked(data, 1000), MESSAGE),
    "settings": (in_file(lambda path: load_settings(path, {})), SETTINGS),
}  # fmt: skip


def fuzz(name: str, examples: int) -> None:
    read, whole = READERS[name]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=damaged(whole))
    def one(data: bytes) -> None:
        with suppress(CalibrationError, CaptureError, ServiceError):
            read(data)

    one()


@pytest.mark.parametrize("name", READERS)
def test_the_undamaged_one_is_read(name: str) -> None:
    read, whole = READERS[name]
    assert read(whole) is not None


@pytest.mark.parametrize("name", READERS)
def test_a_few_damages(name: str) -> None:
    fuzz(name, 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_damages(name: str) -> None:
    fuzz(name, 5000)
