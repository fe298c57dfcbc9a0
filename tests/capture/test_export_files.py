"""C3D, OpenPose and COCO files, read back by small readers of the test's own."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.camera import F64
from capture.detections import read_detections
from capture.errors import ExportError
from capture.export import export_take
from capture.frame import people_in_frame
from capture.people import Frame
from capture.track import Tracker
from models.skeleton import COCO17
from tests.capture.test_export import walking
from tests.capture.test_smooth import take
from tests.scenes import Noise, detect, ring_rig, walkers


def read_c3d(data: bytes) -> tuple[dict[str, Any], F64]:
    """Parameters as "GROUP:NAME", and (F, M, 4) x, y, z, residual. Little-endian floats only."""
    start, key, points, analog = struct.unpack_from("<BBhh", data)
    assert (key, analog) == (0x50, 0)
    first, last, _, scale, data_block = struct.unpack_from("<HHhfh", data, 6)
    assert scale < 0  # floats
    at = (start - 1) * 512
    assert data[at + 3] == 84
    at += 4
    groups: dict[int, str] = {}
    values: dict[str, Any] = {}
    while data[at]:
        length, identity = struct.unpack_from("<bb", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        following = at + struct.unpack_from("<H", data, at)[0]
        if identity < 0:
            groups[-identity] = name
        else:
            values[f"{groups[identity]}:{name}"] = read_value(data, at + 2)
        at = following
    at = (data_block - 1) * 512
    rows = values["POINT:FRAMES"]
    assert last - first + 1 == rows
    array = np.frombuffer(data, dtype="<f4", offset=at, count=rows * points * 4)
    assert at + array.nbytes == len(data)
    return values, array.reshape(rows, points, 4).astype(np.float64)


def read_value(data: bytes, at: int) -> Any:
    kind, dimensions = struct.unpack_from("<bB", data, at)
    shape = tuple(data[at + 2 : at + 2 + dimensions])
    at += 2 + dimensions
    if kind == -1:
        width, count = shape
        return [data[at + k * width : at + (k + 1) * width].decode().strip() for k in range(count)]
    size, code = {2: (2, "<H"), 4: (4, "<f")}[kind]
    values = [struct.unpack_from(code, data, at + k * size)[0] for k in range(int(np.prod(shape)))]
    return values if shape else values[0]


def test_c3d_of_one_person() -> None:
    frames = walking()
    frames[4].people[0].positions[9] = np.nan
    values, data = read_c3d(export_take(frames, ring_rig(4), "c3d"))
    assert values["POINT:LABELS"] == list(COCO17.joints)
    assert values["POINT:UNITS"] == ["mm"]
    assert values["POINT:RATE"] == pytest.approx(60.0, abs=1e-3)
    assert (values["POINT:X_SCREEN"], values["POINT:Y_SCREEN"]) == (["+Y"], ["+Z"])
    assert values["TRIAL:ACTUAL_END_FIELD"] == [30, 0]
    world_mm = 1000 * np.array([frame.people[0].positions for frame in frames])
    there = np.isfinite(world_mm[..., 0])
    assert data[..., :3][there] == pytest.approx(world_mm[there], abs=1e-3)  # float32
    assert data[4, 9].tolist() == [0, 0, 0, -1]  # missing: the residual says so
    assert (data[..., 3][there] == 10).all()  # the sigma of these people


def test_c3d_of_many_people_and_a_dropped_frame() -> None:
    frames = take(walkers(16, 0.2, 60, seed=3), 60.0, ids=tuple(range(16)))
    del frames[5]
    values, data = read_c3d(export_take(frames, ring_rig(4), "c3d"))
    names = values["POINT:LABELS"] + values["POINT:LABELS2"]
    assert len(values["POINT:LABELS"]) == 255  # what one parameter holds
    assert names == [f"p{p}_{joint}" for p in range(16) for joint in COCO17.joints]
    assert data.shape == (12, 272, 4)
    assert (data[5, :, 3] == -1).all()


@pytest.fixture(scope="module")
def seen_take() -> list[Frame]:
    """Two people and some that only one camera saw, with their sightings."""
    rig, tracker, frames = ring_rig(4), Tracker(), []
    for number, seen in enumerate(detect(rig, walkers(2, 0.3, 30), Noise(false_people=0.5))):
        found = people_in_frame(rig, seen.sightings)
        frames.append(
            Frame(
                rig=rig.name, calibration="", capture="c", sequence=number + 7,
                timestamp_ns=number * 33_333_333, skeleton="coco17", model={},
                people=tracker.update(found.people, number * 33_333_333),
                single_view=found.single_view,
            )
        )  # fmt: skip
    return frames


def in_views(frame: Frame, camera: str) -> list[tuple[int, F64]]:
    people = [(p.id, p.sightings[camera].joints_px) for p in frame.people if camera in p.sightings]
    return people + [(-1, s.joints_px) for s in frame.single_view.get(camera, ())]


def test_openpose_goes_in_again(seen_take: list[Frame], tmp_path: Path) -> None:
    """What is written can be read by our own `reconstruct`, joint for joint."""
    data = export_take(seen_take, ring_rig(4), "openpose")
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
    folders = {name: tmp_path / name for name in ring_rig(4).names}
    for frame, (number, views) in zip(seen_take, read_detections(folders, "body25"), strict=True):
        assert number == frame.sequence
        for camera, people in views.items():
            expected = [joints for _, joints in in_views(frame, camera)]
            assert len(people) == len(expected)
            for read, joints in zip(people, expected, strict=True):
                assert read.joints_px == pytest.approx(joints, abs=1e-4, nan_ok=True)


def test_openpose_says_who_is_who(seen_take: list[Frame]) -> None:
    archive = zipfile.ZipFile(io.BytesIO(export_take(seen_take, ring_rig(4), "openpose")))
    content = json.loads(archive.read("cam0/cam0_000000000007_keypoints.json"))
    ids = [person["person_id"][0] for person in content["people"]]
    assert ids == [identity for identity, _ in in_views(seen_take[0], "cam0")]
    assert all(len(person["pose_keypoints_2d"]) == 75 for person in content["people"])


def test_coco(seen_take: list[Frame]) -> None:
    archive = zipfile.ZipFile(io.BytesIO(export_take(seen_take, ring_rig(4), "coco")))
    assert sorted(archive.namelist()) == [f"cam{n}.json" for n in range(4)]
    results = json.loads(archive.read("cam2.json"))
    expected = [(f.sequence, *person) for f in seen_take for person in in_views(f, "cam2")]
    assert len(results) == len(expected)
    for result, (sequence, identity, joints) in zip(results, expected, strict=True):
        assert (result["image_id"], result["category_id"]) == (sequence, 1)
        assert result["person_id"] == identity
        rows = np.array(result["keypoints"]).reshape(17, 3)
        unseen = np.isnan(joints[:, 0])
        assert (rows[unseen] == 0).all()
        assert rows[~unseen, :2] == pytest.approx(joints[~unseen], abs=1e-4)


@pytest.mark.parametrize("name", ["openpose", "coco", "c3d"])
def test_the_same_take_gives_the_same_bytes(seen_take: list[Frame], name: str) -> None:
    assert export_take(seen_take, ring_rig(4), name) == export_take(seen_take, ring_rig(4), name)


def read_glb(data: bytes) -> tuple[dict[str, Any], dict[tuple[str, str], F64]]:
    """The document, and every animated (node name, path) -> values per frame."""
    magic, version, total = struct.unpack_from("<III", data)
    assert (magic, version, total) == (0x46546C67, 2, len(data))
    size, kind = struct.unpack_from("<II", data, 12)
    assert kind == 0x4E4F534A
    document = json.loads(data[20 : 20 + size])
    binary = data[20 + size + 8 :]
    assert len(binary) == document["buffers"][0]["byteLength"]

    def values(number: int) -> F64:
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        code = {5126: "<f4", 5123: "<u2"}[accessor["componentType"]]
        part = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        rows = np.frombuffer(part, dtype=code).reshape(accessor["count"], -1)
        return rows.astype(np.float64)

    animation = document["animations"][0]
    moving = {}
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        name = document["nodes"][channel["target"]["node"]]["name"]
        moving[name, channel["target"]["path"]] = values(sampler["output"])
        moving[name, "time"] = values(sampler["input"])[:, 0]
    return document, moving


def turned(quaternions: F64, vectors: F64) -> F64:
    """(F, 3) vectors turned by (F, 4) quaternions x y z w."""
    axis, w = quaternions[:, :3], quaternions[:, 3:]
    twice = 2 * np.cross(axis, vectors)
    return vectors + w * twice + np.cross(axis, twice)


def test_glb_bones_reach_from_joint_to_joint() -> None:
    frames = walking()
    document, moving = read_glb(export_take(frames, ring_rig(4), "glb"))
    assert document["asset"]["version"] == "2.0"
    assert [document["nodes"][root]["name"] for root in document["scenes"][0]["nodes"]] == ["p3"]
    world = np.array([frame.people[0].positions for frame in frames])[:, :, [1, 2, 0]]
    assert moving["left_knee", "time"] == pytest.approx(np.arange(30) / 60, abs=1e-6)
    for first, second in COCO17.edges:
        name = f"{COCO17.joints[first]}-{COCO17.joints[second]}"
        start, scale = moving[name, "translation"], moving[name, "scale"]
        assert start == pytest.approx(world[:, first], abs=1e-5)
        tip = turned(moving[name, "rotation"], scale * [0, 1, 0])
        assert start + tip == pytest.approx(world[:, second], abs=1e-4), name
        turns = moving[name, "rotation"]
        assert ((turns[1:] * turns[:-1]).sum(axis=1) > 0).all()  # no flips between keyframes


def test_glb_hides_what_is_missing() -> None:
    frames = walking()
    frames[4].people[0].positions[9] = np.nan
    del frames[10]
    _, moving = read_glb(export_take(frames, ring_rig(4), "glb"))
    assert moving["left_wrist", "scale"][[3, 4, 5, 10], 0].tolist() == [1, 0, 1, 0]
    assert moving["left_elbow-left_wrist", "scale"][[3, 4, 5, 10], 0].tolist() == [1, 0, 1, 0]
    assert moving["nose", "scale"][[3, 4, 5, 10], 0].tolist() == [1, 1, 1, 0]
    assert all(np.isfinite(values).all() for values in moving.values())


def test_glb_of_a_bone_that_hangs_straight_down() -> None:
    body = np.zeros((2, 1, 17, 3))
    body[..., 2] = np.linspace(1.7, 0.1, 17)  # every bone along -z, which is -y in glTF
    _, moving = read_glb(export_take(take(body, 60.0), ring_rig(4), "glb"))
    name = "left_hip-left_knee"
    tip = turned(moving[name, "rotation"], moving[name, "scale"] * [0, 1, 0])
    assert tip[0] == pytest.approx([0, body[0, 0, 13, 2] - body[0, 0, 11, 2], 0], abs=1e-5)


def read_bvh(text: str) -> tuple[dict[str, F64], float]:
    """Where every joint and end site is, (F, 3) in the file's units, and the time of a frame."""
    lines = iter(text.splitlines())
    assert next(lines) == "HIERARCHY"
    joints: list[dict[str, Any]] = []
    stack: list[int] = []
    for line in lines:
        words = line.split()
        if words[0] in ("ROOT", "JOINT", "End"):
            name = words[1] if words[0] != "End" else joints[stack[-1]]["name"] + "End"
            joints.append({"name": name, "parent": stack[-1] if stack else None, "channels": []})
        elif words[0] == "{":
            stack.append(len(joints) - 1)
        elif words[0] == "}":
            stack.pop()
        elif words[0] == "OFFSET":
            joints[-1]["offset"] = np.array([float(word) for word in words[1:]])
        elif words[0] == "CHANNELS":
            assert len(words) == 2 + int(words[1])
            joints[-1]["channels"] = words[2:]
        else:
            break
    assert line == "MOTION"
    count = int(next(lines).split()[1])
    step = float(next(lines).split()[2])
    rows = np.array([[float(word) for word in row.split()] for row in lines])
    assert rows.shape == (count, sum(len(joint["channels"]) for joint in joints))
    return _walked(joints, rows), step


def _walked(joints: list[dict[str, Any]], rows: F64) -> dict[str, F64]:
    places: list[F64] = []
    frames_of: list[F64] = []
    column = 0
    result = {}
    for joint in joints:
        place = np.tile(joint["offset"], (len(rows), 1))
        turn = np.tile(np.eye(3), (len(rows), 1, 1))
        for channel in joint["channels"]:
            axis = "XYZ".index(channel[0])
            if channel.endswith("position"):
                place[:, axis] += rows[:, column]
            else:
                turn = turn @ _about(axis, np.radians(rows[:, column]))
            column += 1
        if joint["parent"] is not None:
            above = frames_of[joint["parent"]]
            place = places[joint["parent"]] + np.einsum("fij,fj->fi", above, place)
            turn = above @ turn
        places.append(place)
        frames_of.append(turn)
        result[joint["name"]] = place
    return result


def _about(axis: int, angle: F64) -> F64:
    turn = np.tile(np.eye(3), (len(angle), 1, 1))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn[:, a, a] = turn[:, b, b] = np.cos(angle)
    turn[:, b, a], turn[:, a, b] = np.sin(angle), -np.sin(angle)
    return turn


def bvh_of(frames: list[Frame]) -> dict[str, tuple[dict[str, F64], float]]:
    archive = zipfile.ZipFile(io.BytesIO(export_take(frames, ring_rig(4), "bvh")))
    return {name: read_bvh(archive.read(name).decode()) for name in archive.namelist()}


def test_bvh_moves_like_the_person() -> None:
    frames = walking(2)
    files = bvh_of(frames)
    assert sorted(files) == ["p3.bvh", "p4.bvh"]
    places, step = files["p4.bvh"]
    assert step == pytest.approx(1 / 60, abs=1e-8)
    world = np.array([frame.people[1].positions for frame in frames])[:, :, [1, 2, 0]]
    for name, joint in {
        "LeftArm": "left_shoulder", "RightForeArm": "right_elbow", "LeftForeArmEnd": "left_wrist",
        "RightUpLeg": "right_hip", "LeftLeg": "left_knee", "RightLegEnd": "right_ankle",
    }.items():  # fmt: skip
        off = places[name] / 100 - world[:, COCO17.joints.index(joint)]
        # The walker's bones are constant, so only rounding to 1e-4 degrees and cm is left.
        assert np.abs(off).max() < 1e-4, name


def test_bvh_bridges_gaps_and_does_without_what_was_never_seen() -> None:
    frames = walking()
    for frame in frames:
        frame.people[0].positions[15] = np.nan  # the left ankle
    frames[10].people[0].positions[10] = np.nan
    del frames[20]
    places, _ = bvh_of(frames)["p3.bvh"]
    assert len(places["Hips"]) == 30
    assert all(np.isfinite(place).all() for place in places.values())
    length = np.linalg.norm(places["LeftLegEnd"] - places["LeftLeg"], axis=1)
    assert length == pytest.approx(42.0, abs=1e-2)


def test_bvh_without_a_trunk() -> None:
    frames = walking()
    for frame in frames:
        frame.people[0].positions[11] = np.nan
    with pytest.raises(ExportError, match="hips"):
        export_take(frames, ring_rig(4), "bvh")
