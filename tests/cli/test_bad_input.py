"""Bad input: one clear sentence on stderr, exit status 2, no traceback, nothing written."""

import pytest
from typer.testing import CliRunner

from calibration.rig_file import rig_to_yaml
from service.cli import BAD_INPUT, app
from service.demo.scene import truth_rig


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rig.yaml").write_text(rig_to_yaml(truth_rig()), encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "text.jpg").write_text("not a picture", encoding="utf-8")
    (tmp_path / "text.mp4").write_text("not a video", encoding="utf-8")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    return tmp_path


CASES = {
    "no such picture": ("detect nowhere.jpg -o out.json", "nowhere.jpg"),
    "not a picture": ("detect text.jpg -o out.json", "JPEG"),
    "a folder without pictures": ("detect folder -o out.json", "no pictures in folder"),
    "annotations of another kind": (
        "detect text.jpg -o out.json --annotations broken.json",
        "broken.json is no COCO annotation file",
    ),
    "no such weights": ("detect text.jpg -o out.json --model nobody", "nobody"),
    "no rig": ("capture --rig none.yaml cam0=text.mp4 cam1=text.mp4 -o out", "none.yaml"),
    "a rig that is none": ("capture --rig text.jpg cam0=text.mp4 -o out", "text"),
    "no camera before the path": ("capture --rig rig.yaml text.mp4 -o out", "cam01=text.mp4"),
    "a camera twice": (
        "capture --rig rig.yaml cam0=text.mp4 cam0=folder -o out",
        "'cam0' is given twice",
    ),
    "a camera that the rig has not": (
        "capture --rig rig.yaml cam0=text.mp4 cam9=text.mp4 -o out",
        "no camera 'cam9'",
    ),
    "one camera": ("capture --rig rig.yaml cam0=text.mp4 -o out", "need 2"),
    "not a video": ("capture --rig rig.yaml cam0=text.mp4 cam1=text.mp4 -o out", "is no video"),
    "no such path": ("reconstruct --rig rig.yaml cam0=a cam1=b -o out", "a is not there"),
    "no 2D files": ("reconstruct --rig rig.yaml cam0=folder cam1=other -o out", "no .json"),
    "a board of no size": ("calibrate folder --board 9x6 --square-mm 0 -o out.yaml", "0 mm"),
    "a board that is none": ("calibrate folder --board nine --square-mm 25 -o out.yaml", "nine"),
    "footage without pictures": (
        "calibrate folder --board 9x6 --square-mm 25 -o out.yaml",
        "folder",
    ),
    "close-ups of a four-in-one": (
        "calibrate folder --board 9x6 --square-mm 25 --quad 2x2 --intrinsics other -o out.yaml",
        "do not go together",
    ),
    "a layout that is none": ("prepare folder --quad many -o out", "many"),
    "a take that is none": ("export broken.json -o out.trc", "broken.json is no take"),
    "a worker without Redis": ("work", "redis"),
    "an open address": ("serve --host 0.0.0.0", "refusing to listen on 0.0.0.0"),
    "training without labels": ("train nowhere -o out", "nowhere"),
    "no checkpoint to import": ("models import nowhere.pth", "no file nowhere.pth"),
    "a checkpoint that is none": ("models import text.jpg", "text.jpg (13 bytes) is no PyTorch"),
    "a share that is none": ("train folder=much -o out", "'much' is no share"),
}


@pytest.mark.parametrize(("line", "said"), CASES.values(), ids=CASES.keys())
def test_bad_input_is_one_sentence_and_status_2(place, line, said):
    before = sorted(place.rglob("*"))
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == BAD_INPUT, result.output
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stderr.startswith("quadglass: ")
    assert result.stdout == ""
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    "line",
    [
        *("", "fly", "models", "models fly", "detect", "detect --colour red", "serve --port 70000"),
        "reconstruct --rig rig.yaml cam0=folder cam1=other -o out --skeleton h36m",
        "calibrate folder --board 9x6 --square-mm wide -o out.yaml",
    ],
)
def test_a_line_that_typer_refuses_has_the_same_status(place, line):
    assert CliRunner().invoke(app, line.split()).exit_code == BAD_INPUT


def test_a_setting_that_nobody_knows(place, monkeypatch):
    monkeypatch.setenv("QUADGLASS_COLOUR", "red")
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == BAD_INPUT
    assert "QUADGLASS_COLOUR sets nothing" in result.stderr


def test_a_full_disk_is_no_bad_input(place, monkeypatch):
    def no_space(*_args, **_kwargs):
        raise OSError(28, "No space left on device", "take.json")

    monkeypatch.setattr("calibration.prepare.prepare", no_space)
    result = CliRunner().invoke(app, ["prepare", "folder", "-o", "out"])
    assert result.exit_code == 1
    assert result.stderr == "quadglass: take.json: No space left on device\n"
