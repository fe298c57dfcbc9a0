"""Every lens in every format that can hold it; the others refuse it, or say what was lost."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.camera import Source
from calibration.errors import BadInput, BadRigFile
from calibration.formats import read_any, read_easymocap, write_easymocap, write_opencv
from calibration.formats.files import RIG_FORMATS, rig_as_files
from calibration.rig import Rig
from service.cli import app

from .test_rig_file import full_rig

PINHOLE8 = np.array([0.35, 0.05, 5e-4, -3e-4, 0.003, 0.6, 0.12, 0.01])
FISHEYE = np.array([0.03, -0.012, 0.004, -0.0007])


def _rig(lens: str) -> Rig:
    """Four cameras, the second with the lens."""
    cameras = [replace(camera, source=Source()) for camera in full_rig().cameras]
    if lens == "pinhole8":
        cameras[1] = replace(cameras[1], dist=PINHOLE8)
    if lens == "fisheye":
        cameras[1] = replace(cameras[1], dist=FISHEYE, model="fisheye")
    return replace(full_rig(), cameras=tuple(cameras))


def _read(files: dict[Path, str]) -> Rig:
    texts = [text.encode() for text in files.values()]
    return read_any(texts[0]) if len(texts) == 1 else read_easymocap(texts[0], texts[1])


@pytest.mark.parametrize(
    ("form", "lens"),
    [
        ("yaml", "pinhole5"), ("yaml", "pinhole8"), ("yaml", "fisheye"),
        ("opencv", "pinhole5"), ("opencv", "pinhole8"),
        ("easymocap", "pinhole5"), ("easymocap", "pinhole8"),
        ("toml", "pinhole5"), ("toml", "pinhole8"), ("toml", "fisheye"),
    ],
)  # fmt: skip
def test_a_rig_comes_back_with_every_coefficient(form: str, lens: str) -> None:
    rig = _rig(lens)
    files, lost_px = rig_as_files(rig, form, Path("there"))
    back = _read(files)
    assert lost_px == 0.0
    for one, other in zip(rig.cameras, back.cameras, strict=True):
        assert (one.name, one.size_px, one.model) == (other.name, other.size_px, other.model)
        np.testing.assert_array_equal(one.K, other.K)
        np.testing.assert_array_equal(one.dist, other.dist)
        np.testing.assert_allclose(one.cam_from_world, other.cam_from_world, atol=1e-12)


@pytest.mark.parametrize("lens", ["pinhole5", "pinhole8", "fisheye"])
def test_ros_holds_every_lens_one_file_a_camera(lens: str) -> None:
    rig = _rig(lens)
    files, _ = rig_as_files(rig, "ros", Path("there"))
    assert [path.name for path in files] == [f"{name}.yaml" for name in rig.names]
    back = read_any(files[Path("there/cam1.yaml")].encode()).cameras[0]
    assert back.model == rig.cameras[1].model
    np.testing.assert_array_equal(back.K, rig.cameras[1].K)
    np.testing.assert_array_equal(back.dist, rig.cameras[1].dist)


def test_kalibr_holds_a_fisheye_whole_and_says_what_the_others_lose() -> None:
    files, lost_px = rig_as_files(_rig("fisheye"), "kalibr", Path("chain.yaml"))
    back = _read(files).cameras[1]
    assert 0.0 < lost_px < 0.1  # of the three plain lenses, whose k3 it cannot say
    assert back.model == "fisheye"
    np.testing.assert_array_equal(back.dist, FISHEYE)


@pytest.mark.parametrize(
    ("form", "lens", "words"),
    [
        ("opencv", "fisheye", "is a fisheye"),
        ("easymocap", "fisheye", "is a fisheye"),
        ("kalibr", "pinhole8", "eight coefficients"),
    ],
)
def test_a_lens_that_a_format_cannot_say_is_refused(form: str, lens: str, words: str) -> None:
    with pytest.raises(BadRigFile, match=words) as caught:
        rig_as_files(_rig(lens), form, Path("there"))
    assert caught.value.camera == "cam1"


def test_a_format_that_there_is_not() -> None:
    with pytest.raises(BadInput, match="easymocap"):
        rig_as_files(_rig("pinhole5"), "colmap", Path("there"))


def _zip(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def test_easymocap_as_a_zip_and_what_is_refused_of_it() -> None:
    intri, extri = write_easymocap(_rig("pinhole5"))
    back = read_any(_zip({"cameras/intri.yml": intri, "cameras/extri.yml": extri}), name="studio")
    assert (back.name, back.names) == ("studio", ("cam0", "cam1", "cam2", "cam3"))
    for alone in (intri, extri):
        with pytest.raises(BadRigFile, match="give both"):
            read_any(alone.encode())
    with pytest.raises(BadRigFile, match=r"0 files 'extri\.yml'"):
        read_any(_zip({"intri.yml": intri}))
    with pytest.raises(BadRigFile, match="cannot be read"):
        read_any(_zip({"intri.yml": intri, "extri.yml": extri})[:200])
    other = write_easymocap(replace(_rig("pinhole5"), cameras=_rig("pinhole5").cameras[:2]))
    with pytest.raises(BadRigFile, match="take both files from one calibration"):
        read_easymocap(intri.encode(), other[1].encode())
    with pytest.raises(BadRigFile, match="size in pixels"):
        read_easymocap(intri.replace("W_cam0", "X_cam0").encode(), extri.encode())


@pytest.mark.parametrize("form", RIG_FORMATS)
def test_the_command_writes_a_rig_that_the_command_reads(form: str, tmp_path: Path) -> None:
    start, out, back = tmp_path / "rig.yml", tmp_path / "out", tmp_path / "back.yaml"
    start.write_text(write_opencv(_rig("pinhole5")))
    run = CliRunner().invoke(app, ["export", str(start), "-o", str(out), "--format", form])
    assert run.exit_code == 0, run.output
    source = out / "cam1.yaml" if form == "ros" else out
    run = CliRunner().invoke(app, ["export", str(source), "-o", str(back), "--format", "yaml"])
    assert run.exit_code == 0, run.output
    camera = read_any(back.read_bytes()).camera("cam1")
    # Kalibr has no k3: the rest makes up for it.
    atol = 5.0 if form == "kalibr" else 0.0
    np.testing.assert_allclose(camera.K, _rig("pinhole5").camera("cam1").K, atol=atol)
