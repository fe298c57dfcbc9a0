"""The commands on real data, as somebody would type them."""

import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.rig_file import rig_from_yaml
from models.skeleton import COCO17
from service.cli import app
from service.commands.detect import coco_result, image_ids

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
NAMES = [
    *("prepare", "calibrate", "detect", "capture", "reconstruct", "serve", "work", "train"),
    *("evaluate", "export", "doctor", "check-rig", "link-rigs", "plot"),
    *("board", "plan", "keys", "send"),
]


def shared(name):
    path = SHARED / name
    if not path.is_dir():
        pytest.skip(f"{path} is not on this machine")
    return path


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


def test_help_names_every_command_and_loads_nothing_heavy():
    # The whole of numpy, OpenCV, FastAPI or PyTorch would make every call a second slower.
    code = (
        "import sys; from service.cli import app; from typer.testing import CliRunner;"
        "print(CliRunner().invoke(app, ['--help']).output);"
        "print(sorted({'cv2', 'fastapi', 'onnxruntime', 'scipy', 'torch'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"
    for name in NAMES:
        assert f"  {name} " in out.stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(name):
    assert "Usage:" in run(name, "--help").stdout


def test_version_of_the_installed_command():
    command = Path(sys.executable).with_name("quadglass")
    out = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert out.stdout == f"quadglass {version('quadglass')}\n"


def test_reconstruct_and_export_on_files_of_another_detector(tmp_path):
    data = shared("pose2sim-balancing")
    views = [f"cam0{n}={data / 'pose2d' / f'cam0{n}'}" for n in (1, 2, 3, 4)]
    rig = data / "calibration" / "Calib.qca.txt"
    result = run("reconstruct", "--rig", rig, *views, "-o", tmp_path / "take", "--rate-hz", 60)
    assert "frames with a person in 3D    100.0 %" in result.stdout
    assert {p.name for p in (tmp_path / "take").iterdir()} == {
        "angles.png",
        "quality.png",
        "rig.yaml",
        "take.angles.csv",
        "take.csv",
        "take.json",
        "take.trc",
        "trajectories.png",
    }
    run("export", tmp_path / "take" / "take.json", "-o", tmp_path / "again.trc")
    once, again = (
        np.genfromtxt(path, skip_header=5, delimiter="\t")
        for path in (tmp_path / "take" / "take.trc", tmp_path / "again.trc")
    )
    assert once.shape[0] == 100
    # take.json rounds to 10 um, TRC to 1 um: half of both together.
    np.testing.assert_allclose(again, once, rtol=0, atol=5.6e-6)


def test_detect_writes_coco_results_with_the_annotations_ids(tmp_path):
    data = shared("mmpose-2d") / "coco"
    annotations = data / "test_coco.json"
    out = tmp_path / "results.json"
    pictures = tmp_path / "drawn"
    run("detect", data, "-o", out, "--annotations", annotations, "--draw", pictures)
    results = json.loads(out.read_text())
    known = {image["id"] for image in json.loads(annotations.read_text())["images"]}
    assert {one["image_id"] for one in results} <= known
    assert all(len(one["keypoints"]) == 3 * len(COCO17.joints) for one in results)
    for path in data.glob("*.jpg"):
        before, drawn = cv2.imread(str(path)), cv2.imread(str(pictures / path.name))
        assert drawn.shape == before.shape
    # The skier stands alone and upright; hers is picture 785 and she fills half of its height.
    skier = [one for one in results if one["image_id"] == 785]
    assert len(skier) == 1
    points = np.array(skier[0]["keypoints"]).reshape(-1, 3)
    assert np.ptp(points[:, 1]) > 0.4 * cv2.imread(str(data / "000000000785.jpg")).shape[0]


def test_capture_runs_videos_without_a_service(tmp_path):
    data = shared("pose2sim-balancing")
    # cam03 and cam04 have the rig's own size; the others need a `source` in the rig file.
    views = [f"cam0{n}={data / 'videos' / f'cam0{n}.mp4'}" for n in (3, 4)]
    rig = data / "calibration" / "Calib.qca.txt"
    out = tmp_path / "take"
    result = run("capture", "--rig", rig, *views, "-o", out, "--frames", 4)
    assert "frames                        4" in result.stdout
    take = json.loads((out / "take.json").read_text())
    assert len(take["frames"]) == 4
    assert take["rate_hz"] == 60
    assert any(frame["people"] for frame in take["frames"])
    assert cv2.imread(str(out / "take.jpg")) is not None


def test_calibrate_a_stereo_pair_to_yaml_and_report(tmp_path):
    data = shared("opencv-stereo")
    for side in ("left", "right"):
        (tmp_path / "pair" / side).mkdir(parents=True)
        for path in data.glob(f"{side}*.jpg"):
            (tmp_path / "pair" / side / path.name).symlink_to(path)
    out, report = tmp_path / "rig.yaml", tmp_path / "report.json"
    result = run(
        "calibrate", tmp_path / "pair", "--board", "9x6", "--square-mm", 25, "--kind", "stereo",
        "-o", out, "--report", report,
    )  # fmt: skip
    rig = rig_from_yaml(out.read_text())
    assert rig.stereo is not None
    assert "verdict:" in result.stdout
    assert "left" in result.stdout
    # 3.335 squares between the cameras, 1 %: what its README asks of a calibration.
    assert np.linalg.norm(rig.stereo.t) == pytest.approx(3.335 * 0.025, rel=0.01)
    assert json.loads(report.read_text())

    # Parts of the lenses stay as they are given, the rest comes out alike, and the pictures say
    # that the cameras stand.
    page, again = tmp_path / "report.html", tmp_path / "again.yaml"
    run(
        "calibrate", tmp_path / "pair", "--board", "9x6", "--square-mm", 25, "--lenses", out,
        "--fix", "center", "--fix", "left:distortion", "--lens", "pinhole5", "--bend",
        "--world", "board", "--world-moment", "05", "-o", again, "--report", page,
    )  # fmt: skip
    second = rig_from_yaml(again.read_text())
    assert second.world == "board"
    for camera in rig.cameras:
        found = second.camera(camera.name).K
        np.testing.assert_allclose(found[:2, 2], camera.K[:2, 2], rtol=1e-12)
        assert camera.sigma is not None
        # The flat board's lens and the bent one's differ by more than noise.
        assert abs(found[0, 0] - camera.K[0, 0]) < 0.02 * camera.K[0, 0]
    np.testing.assert_array_equal(second.camera("left").dist, rig.camera("left").dist)
    assert page.read_text().startswith("<!doctype html>")
    check = ("check-rig", tmp_path / "pair", "--rig", out, "--board", "9x6", "--square-mm", 25)
    drifts = json.loads(run(*check, "--json").stdout)["cameras"]
    assert [(drift["camera"], drift["moved"]) for drift in drifts] == [
        ("left", False),
        ("right", False),
    ]


def test_prepare_cuts_a_four_in_one_picture(tmp_path):
    rng = np.random.default_rng(3)
    parts = rng.integers(0, 255, (4, 120, 160, 3), dtype=np.uint8)
    (tmp_path / "quad").mkdir()
    whole = np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])
    cv2.imwrite(str(tmp_path / "quad" / "0001.png"), whole)
    run("prepare", tmp_path / "quad", "--quad", "2x2", "-o", tmp_path / "out")
    assert (tmp_path / "out" / "manifest.yaml").is_file()
    for index, part in enumerate(parts):
        cut = cv2.imread(str(tmp_path / "out" / f"cam{index}" / "0001.png"), cv2.IMREAD_GRAYSCALE)
        # Read as grey: within the rounding of one grey level of the same weights.
        expected = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
        assert np.abs(cut.astype(int) - expected).max() <= 1


def test_doctor_times_the_default_network():
    findings = {one["what"]: one for one in json.loads(run("doctor", "--json").stdout)}
    assert findings["network"]["state"] == "good"
    assert "frame sets/s" in findings["network"]["says"]
    assert "CPUExecutionProvider" in findings["runtime"]["says"]


def test_doctor_says_that_redis_does_not_answer():
    result = CliRunner().invoke(app, ["doctor", "--redis", "redis://:secret@127.0.0.1:1/0"])
    assert result.exit_code == 1
    assert "does not answer" in result.stdout
    assert "secret" not in result.output


def test_doctor_asks_a_service_and_fails_where_there_is_none():
    start = time.monotonic()
    result = CliRunner().invoke(app, ["doctor", "--ready", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
    assert time.monotonic() - start < 5


def test_unseen_joints_are_zeros_in_coco_results():
    from models.sighting import Sighting

    joints = np.full((17, 2), np.nan)
    joints[0] = (10.126, 20.0)
    scores = np.zeros(17)
    scores[0] = 0.5
    result = coco_result(7, Sighting(joints, scores, 0.9, np.zeros(17, dtype=bool)))
    assert result["keypoints"] == [10.13, 20.0, 0.5] + 48 * [0.0]
    assert (result["image_id"], result["category_id"], result["score"]) == (7, 1, 0.9)


def test_image_ids_are_file_names_without_annotations():
    assert image_ids(None, [Path("a/b.jpg")]) == {Path("a/b.jpg"): "b.jpg"}
