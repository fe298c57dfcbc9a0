"""Exports read back by readers that others wrote."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from calibration.camera import F64
from capture.angles import ANGLES, joint_angles_deg
from capture.export import FORMATS, export_take
from capture.people import Frame
from capture.result import frame_from_json
from models.skeleton import COCO17
from tests.capture.test_export import walking
from tests.capture.test_export_files import seen_take  # noqa: F401  a fixture
from tests.scenes import ring_rig

JOINTS = list(COCO17.joints)
WRIST = JOINTS.index("left_wrist")


def gappy(people: int = 2) -> list[Frame]:
    """Half a second at 60 Hz, a wrist missing in frame 4, frame 10 dropped."""
    frames = walking(people)
    person = frames[4].people[0]
    for array in (person.positions, person.sigma_mm, person.reprojection_px):
        array[WRIST] = np.nan
    person.scores[WRIST], person.views[WRIST] = 0, 0
    del frames[10]
    return frames


def world(frames: list[Frame], which: int = 0) -> F64:
    """(F, 17, 3) of one of the people."""
    return np.array([frame.people[which].positions for frame in frames])


def written(frames: list[Frame], form: str, path: Path) -> Path:
    path.write_bytes(export_take(frames, ring_rig(4), form, rate_hz=60.0))
    return path


def test_parquet_by_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frames = gappy()
    table = pandas.read_parquet(written(frames, "parquet", tmp_path / "take.parquet"))
    assert len(table) == 29 * 2 * 17
    assert table.dtypes["sequence"] == table.dtypes["timestamp_ns"] == np.int64
    assert sorted(table["person"].unique()) == [3, 4]
    body = table[table["person"] == 4].pivot(index="sequence", columns="joint")
    for axis, name in enumerate(("x_m", "y_m", "z_m")):
        assert (body[name][JOINTS].to_numpy() == world(frames, 1)[:, :, axis]).all()
    lone = table[
        (table["person"] == 3) & (table["sequence"] == 4) & (table["joint"] == "left_wrist")
    ]
    assert lone[["x_m", "y_m", "z_m", "sigma_mm"]].isna().all(axis=None)  # null, never zero
    assert lone["views"].item() == 0
    assert table["time_s"].max() == pytest.approx(29 / 60, abs=1e-6)
    assert table["x_m"].isna().sum() == 1


def test_parquet_by_pyarrow(seen_take: list[Frame]) -> None:  # noqa: F811
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(export_take(seen_take, ring_rig(4), "parquet")))
    about = json.loads(file.schema_arrow.metadata[b"quadglass"])
    assert (about["units"], about["axes"]) == ("m", "world, z up")
    rows = file.read().to_pylist()
    expected = [
        (frame.sequence, frame.timestamp_ns, person.id, joint, person.sources[j])
        for frame in seen_take
        for person in frame.people
        for j, joint in enumerate(JOINTS)
    ]
    keys = ("sequence", "timestamp_ns", "person", "joint", "source")
    assert [tuple(row[key] for key in keys) for row in rows] == expected


def test_parquet_of_nobody() -> None:
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(export_take([], ring_rig(4), "parquet", rate_hz=30.0)))
    assert table.num_rows == 0
    assert "x_m" in table.column_names


def test_csv_and_angles_by_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frames = gappy()
    table = pandas.read_csv(written(frames, "csv", tmp_path / "take.csv"))
    knee = table[(table["person"] == 3) & (table["joint"] == "left_knee")]
    there = world(frames)[:, JOINTS.index("left_knee")]
    assert knee[["x_m", "y_m", "z_m"]].to_numpy() == pytest.approx(there, abs=1e-6)
    assert table["x_m"].isna().sum() == 1
    angles = pandas.read_csv(written(frames, "angles", tmp_path / "angles.csv"))
    told = angles[angles["person"] == 3][[f"{name}_deg" for name in ANGLES]].to_numpy()
    assert told == pytest.approx(joint_angles_deg(world(frames)), abs=0.005, nan_ok=True)
    assert np.isnan(told).sum() == 1  # the elbow of the arm whose wrist is missing


def test_c3d_by_ezc3d(tmp_path: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d")
    frames = gappy()
    file = ezc3d.c3d(str(written(frames, "c3d", tmp_path / "take.c3d")))
    point = file["parameters"]["POINT"]
    assert point["UNITS"]["value"] == ["mm"]
    assert point["RATE"]["value"][0] == pytest.approx(60)
    labels = point["LABELS"]["value"]
    assert labels == [f"p{p}_{joint}" for p in (3, 4) for joint in JOINTS]
    places = file["data"]["points"][:3].transpose(2, 1, 0)  # (F, M, 3)
    kept = [row for row in range(30) if row != 10]
    expected = 1000 * np.concatenate([world(frames), world(frames, 1)], axis=1)
    assert places[kept] == pytest.approx(expected, abs=1e-3, nan_ok=True)
    residuals = file["data"]["meta_points"]["residuals"][0].T  # (F, M)
    assert residuals[4, WRIST] == -1
    assert (residuals[10] == -1).all()  # the dropped frame
    assert (residuals[[0, 29]] >= 0).all()


@pytest.mark.filterwarnings("ignore:No analog data found")  # nor is there any
def test_c3d_by_py_c3d(tmp_path: Path) -> None:
    """The residual is the low byte of a point's fourth word, as the user guide has it.

    ezc3d takes the high byte, where the guide has the cameras.
    """
    c3d = pytest.importorskip("c3d")
    frames = gappy()
    with written(frames, "c3d", tmp_path / "take.c3d").open("rb") as file:
        reader = c3d.Reader(file)
        rows = [points for _, points, _ in reader.read_frames()]
        assert reader.point_rate == 60
        assert [label.strip() for label in reader.point_labels][:17] == [f"p3_{j}" for j in JOINTS]
    assert len(rows) == 30
    assert rows[4][WRIST, 3] == -1
    there = np.isfinite(frames[0].people[0].sigma_mm)
    sigma = np.round(frames[0].people[0].sigma_mm[there])
    assert rows[0][:17, 3][there] == pytest.approx(sigma)
    assert rows[0][:17, :3] == pytest.approx(1000 * world(frames)[0], abs=1e-3)


def test_glb_by_trimesh(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    frames = walking(2)
    scene = trimesh.load_scene(written(frames, "glb", tmp_path / "take.glb"))
    assert {"p3", "p4"} <= set(scene.graph.nodes)
    first = np.concatenate([world(frames)[0], world(frames, 1)[0]])[:, [1, 2, 0]]  # y up
    low, high = scene.bounds
    # Figures are as thick as their joints: 3 cm around the outermost centres.
    assert low == pytest.approx(first.min(axis=0) - 0.03, abs=0.005)
    assert high == pytest.approx(first.max(axis=0) + 0.03, abs=0.005)
    for mesh in scene.geometry.values():
        assert mesh.is_watertight or len(mesh.faces) >= 20
    # Every bone of the skeleton hangs between its joints, at the first frame.
    for p, person in enumerate(("p3", "p4")):
        children = scene.graph.transforms.children[person]
        assert len(children) >= len(JOINTS) + len(COCO17.edges)
        at = {}
        for node in children:
            matrix, _ = scene.graph.get(node)
            at[node.split("_p")[0]] = matrix[:3, 3]
        places = np.array(list(at.values()))
        for joint in world(frames, p)[0][:, [1, 2, 0]]:
            assert np.linalg.norm(places - joint, axis=1).min() < 1e-5


def test_bvh_by_bvhio(tmp_path: Path) -> None:
    bvhio = pytest.importorskip("bvhio")
    frames = walking(2)
    archive = zipfile.ZipFile(io.BytesIO(export_take(frames, ring_rig(4), "bvh", rate_hz=60.0)))
    archive.extractall(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        about = bvhio.readAsBvh(str(tmp_path / "p4.bvh"))
        root = bvhio.readAsHierarchy(str(tmp_path / "p4.bvh"))
    assert about.FrameCount == 30
    assert about.FrameTime == pytest.approx(1 / 60, abs=1e-7)
    expected = 100 * world(frames, 1)[:, :, [1, 2, 0]]  # centimetres, y up
    for frame in (0, 13, 29):
        root.loadPose(frame)
        for name, joint in {
            "LeftArm": "left_shoulder", "RightForeArm": "right_elbow",
            "RightUpLeg": "right_hip", "LeftLeg": "left_knee",
        }.items():  # fmt: skip
            (bone,) = root.filter(name)
            off = np.array(bone.PositionWorld) - expected[frame, JOINTS.index(joint)]
            # The reader works in float32; the file has 1e-4 degrees and centimetres.
            assert np.abs(off).max() < 0.01, (name, frame)


def test_coco_by_pycocotools(seen_take: list[Frame], tmp_path: Path) -> None:  # noqa: F811
    coco_tools = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    archive = zipfile.ZipFile(io.BytesIO(export_take(seen_take, ring_rig(4), "coco")))
    results = json.loads(archive.read("cam2.json"))
    (tmp_path / "results.json").write_text(json.dumps(results))
    # Ground truth that is the results themselves: read right, their average precision is 1.
    labels = []
    for number, row in enumerate(results, start=1):
        rows = np.array(row["keypoints"]).reshape(17, 3)
        rows[:, 2] = np.where(rows[:, 2] > 0, 2, 0)
        low, high = rows[rows[:, 2] > 0, :2].min(axis=0), rows[rows[:, 2] > 0, :2].max(axis=0)
        labels.append(
            {
                "id": number, "image_id": row["image_id"], "category_id": 1, "iscrowd": 0,
                "keypoints": rows.ravel().tolist(), "num_keypoints": int((rows[:, 2] > 0).sum()),
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "area": float(np.prod(high - low)),
            }
        )  # fmt: skip
    images = [{"id": frame.sequence, "width": 1920, "height": 1080} for frame in seen_take]
    person = {"id": 1, "name": "person", "keypoints": JOINTS}
    truth = {"info": {}, "images": images, "annotations": labels, "categories": [person]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    with contextlib.redirect_stdout(io.StringIO()):
        gold = coco_tools.COCO(str(tmp_path / "truth.json"))
        scored = evaluation.COCOeval(
            gold, gold.loadRes(str(tmp_path / "results.json")), "keypoints"
        )
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    assert scored.stats[0] == pytest.approx(1.0)


def test_trc_by_trc_data_reader(tmp_path: Path) -> None:
    reader = pytest.importorskip("trc")
    frames = walking(2)
    file = reader.TRCData()
    file.load(str(written(frames, "trc", tmp_path / "take.trc")))
    assert (file["Units"], file["DataRate"], file["NumFrames"]) == ("m", 60, 30)
    assert file["Markers"] == [f"p{p}_{joint}" for p in (3, 4) for joint in JOINTS]
    knee = np.array(file["p4_right_knee"])
    expected = world(frames, 1)[:, JOINTS.index("right_knee")][:, [1, 2, 0]]
    assert knee == pytest.approx(expected, abs=1e-6)
    assert file["Time"] == pytest.approx(np.arange(30) / 60, abs=1e-6)


def test_trc_with_gaps_by_pandas(tmp_path: Path) -> None:
    """As Pose2Sim reads it: two header lines of markers and axes, then tab-separated cells."""
    pandas = pytest.importorskip("pandas")
    frames = gappy(1)
    path = written(frames, "trc", tmp_path / "take.trc")
    table = pandas.read_csv(path, sep="\t", skiprows=4)
    assert len(table) == 30
    wrist = table[[f"{axis}{WRIST + 1}" for axis in "XYZ"]].to_numpy()
    assert np.isnan(wrist).all(axis=1).nonzero()[0].tolist() == [4, 10]
    kept = [row for row in range(30) if row != 10]
    expected = world(frames)[:, WRIST][:, [1, 2, 0]]
    assert wrist[kept] == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_our_json_by_our_own_reader() -> None:
    frames = gappy()
    content = json.loads(export_take(frames, ring_rig(4), "json"))
    again = [frame_from_json(row) for row in content["frames"]]
    assert world(again) == pytest.approx(world(frames), abs=1e-5, nan_ok=True)


def test_every_format_is_among_those_read_back() -> None:
    elsewhere = {"openpose"}  # goes in again by `read_detections`, test_export_files.py
    here = {"parquet", "csv", "angles", "c3d", "glb", "bvh", "coco", "trc", "json"}
    assert set(FORMATS) == here | elsewhere
