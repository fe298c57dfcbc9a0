"""MMPose's and MediaPipe's files, in the schemas that those tools write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.camera import F64
from capture.detection_formats import MEDIAPIPE_33, WHOLEBODY_133
from capture.detections import read_detections
from capture.errors import BadDetections
from capture.reconstruct import ReconstructSettings, reconstruct
from models.sighting import Sighting
from models.skeleton import COCO17, HALPE_26
from tests.scenes import Noise, detect, ring_rig, walkers

SIZE_PX = (1920, 1080)


def mmpose_instance(places: F64, scores: F64) -> dict[str, Any]:
    """As mmpose.structures.split_instances makes it; a box is a tuple of one list."""
    low, high = places.min(axis=0), places.max(axis=0)
    return {
        "keypoints": places.tolist(),
        "keypoint_scores": scores.tolist(),
        "bbox": [[*low.tolist(), *high.tolist()]],
        "bbox_score": 0.93,
    }


def points(count: int) -> tuple[F64, F64]:
    places = np.arange(2.0 * count).reshape(count, 2) + 100
    return places, np.linspace(0.5, 1.04, count)  # SimCC's scores pass 1


def landmark(x: float, y: float, visibility: float, presence: float | None) -> dict[str, float]:
    mark = {"x": x, "y": y, "z": -0.2, "visibility": visibility}
    return mark if presence is None else {**mark, "presence": presence}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def only(path: Path, skeleton: str | None = None) -> list[tuple[int, list[Sighting]]]:
    """The frames of one camera."""
    found = read_detections({"a": path}, skeleton, {"a": SIZE_PX})
    return [(number, views["a"]) for number, views in found]


@pytest.mark.parametrize("count", [17, 26, 133])
def test_mmpose_pictures(tmp_path: Path, count: int) -> None:
    """The Inferencer's `pred_out_dir`: a list of people per picture, named like the picture."""
    places, scores = points(count)
    write(tmp_path / "frame_0003.json", [mmpose_instance(places, scores)] * 2)
    write(tmp_path / "frame_0004.json", [])
    (three, two), (four, none) = only(tmp_path)
    assert (three, four) == (3, 4)
    assert len(two) == 2
    assert none == []
    assert two[0].joints_px.tolist() == places[:17].tolist()
    assert two[0].scores == pytest.approx(np.minimum(scores[:17], 1.0))
    assert len(WHOLEBODY_133.joints) == 133


@pytest.mark.parametrize("demo", [False, True])
def test_mmpose_video(tmp_path: Path, demo: bool) -> None:
    """One file: the Inferencer's list counts from 0; the demos' has a header and counts from 1."""
    one = mmpose_instance(*points(26))
    first = 1 if demo else 0
    frames = [{"frame_id": first + i, "instances": [one] * (i % 2)} for i in range(4)]
    meta = {"dataset_name": "halpe26", "num_keypoints": 26}
    content = {"meta_info": meta, "instance_info": frames} if demo else frames
    path = write(tmp_path / "take" / "results_cam.json", content)
    for given in (path, path.parent):  # the file, or the folder that holds it alone
        read = only(given)
        assert [number for number, _ in read] == [first + i for i in range(4)]
        assert [len(people) for _, people in read] == [0, 1, 0, 1]
    shoulder = HALPE_26.joints.index("left_shoulder")
    expected = COCO17.joints.index("left_shoulder")
    assert read[1][1][0].joints_px[expected].tolist() == one["keypoints"][shoulder]


def test_mediapipe_shares_become_pixels(tmp_path: Path) -> None:
    """The whole width is 1920: 0 is half a pixel left of the first pixel's middle."""
    marks = [landmark(0.5, 0.25, 0.9, 0.8) for _ in range(33)]
    marks[11] = landmark(0.0, 1.0, 0.3, 0.9)  # the left shoulder
    marks[12] = landmark(1.2, 0.5, 0.9, 0.9)  # outside the picture: it guesses
    world = [landmark(0.1, 0.2, 0.9, 0.8) for _ in range(33)]
    write(tmp_path / "0.json", {"pose_landmarks": [marks], "pose_world_landmarks": [world]})
    write(tmp_path / "1.json", {"pose_landmarks": [], "pose_world_landmarks": []})
    (_, (person,)), (_, none) = only(tmp_path)
    assert none == []
    assert person.joints_px[0].tolist() == [959.5, 269.5]
    left, right = COCO17.joints.index("left_shoulder"), COCO17.joints.index("right_shoulder")
    assert person.joints_px[left].tolist() == [-0.5, 1079.5]
    assert person.scores[[0, left, right]].tolist() == [0.8, 0.3, 0.0]
    assert np.isnan(person.joints_px[right]).all()
    assert [MEDIAPIPE_33.joints[i] for i in MEDIAPIPE_33.coco17] == list(COCO17.joints)


def test_mediapipe_of_javascript_and_of_the_older_pose(tmp_path: Path) -> None:
    marks = [landmark(0.5, 0.25, 0.9, None) for _ in range(33)]
    frames = [{"landmarks": [marks], "worldLandmarks": []}, {"landmarks": []}]
    video = only(write(tmp_path / "js.json", frames))
    assert [(number, len(people)) for number, people in video] == [(0, 1), (1, 0)]
    older = [{"pose_landmarks": {"landmark": marks}}, {"pose_landmarks": None}]
    assert [len(people) for _, people in only(write(tmp_path / "old.json", older))] == [1, 0]
    write(tmp_path / "bare" / "7.json", {"landmark": marks})
    ((seven, (person,)),) = only(tmp_path / "bare")
    assert seven == 7
    assert person.scores.tolist() == [0.9] * 17


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ([{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1.0] * 16}], "keypoint_scores"),
        ([{"keypoints": [[1, 2]] * 21, "keypoint_scores": [1.0] * 21}], "21 points"),
        ([{"keypoints": [[1, 2, 3]] * 17, "keypoint_scores": [1.0] * 17}], "keypoints"),
        ({"pose_landmarks": [[{"x": 0.5}] * 33]}, "MediaPipe"),
        ({"pose_landmarks": [[landmark(0.5, 0.5, 1, 1)] * 21]}, "33"),
        ([{"frame_id": 1, "instances": []}, {"frame_id": 1, "instances": []}], "twice"),
    ],
)
def test_damaged_files_say_what_is_wrong(tmp_path: Path, content: object, word: str) -> None:
    write(tmp_path / "1.json", content)
    with pytest.raises(BadDetections, match=word):
        only(tmp_path)


def test_a_video_among_single_frames(tmp_path: Path) -> None:
    write(tmp_path / "1.json", [])
    write(tmp_path / "2.json", [{"frame_id": 0, "instances": []}])
    with pytest.raises(BadDetections, match="alone"):
        only(tmp_path)


def test_three_tools_make_one_take(tmp_path: Path) -> None:
    """One camera each by OpenPose, MMPose and MediaPipe, one person, no noise."""
    rig = ring_rig(3)
    truth = walkers(1, 0.2, 30, seed=4)
    seen = detect(rig, truth, Noise(pixel=0.0, missed=0.0, outliers=0.0))
    video = []
    for number, frame in enumerate(seen):
        one, two, three = (frame.sightings[name][0] for name in rig.names)
        flat = np.concatenate([one.joints_px, one.scores[:, None]], axis=1).ravel().tolist()
        write(tmp_path / "a" / f"{number}.json", {"people": [{"pose_keypoints_2d": flat}]})
        places, scores = two.joints_px, two.scores
        video.append({"frame_id": number, "instances": [mmpose_instance(places, scores)]})
        marks = [landmark(0.5, 0.5, 0.0, 1.0) for _ in range(33)]
        for joint, place, score in zip(
            MEDIAPIPE_33.coco17, three.joints_px, three.scores, strict=True
        ):
            x, y = (place + 0.5) / SIZE_PX
            marks[joint] = landmark(x, y, score, 1.0)
        write(tmp_path / "c" / f"{number}.json", {"pose_landmarks": [marks]})
    paths = {
        "cam0": tmp_path / "a",
        "cam1": write(tmp_path / "b.json", video),
        "cam2": tmp_path / "c",
    }
    frames = reconstruct(rig, paths, settings=ReconstructSettings(smooth=None))
    assert len(frames) == len(truth)
    for frame, bodies in zip(frames, truth, strict=True):
        (person,) = frame.people
        there = np.isfinite(person.positions[:, 0])
        assert there.sum() >= 15  # near-parallel rays of three cameras leave a joint or two out
        assert np.abs(person.positions - bodies[0])[there].max() < 1e-6
