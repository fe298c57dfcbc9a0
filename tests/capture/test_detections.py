"""Folders and files of OpenPose, MMPose and MediaPipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from capture.detections import MAX_FILE_BYTES, MAX_VIDEO_BYTES, frame_files, read_detections
from capture.errors import BadDetections
from models.skeleton import BODY_25, BODY_25B, LAYOUTS


def write(folder: Path, name: str, *people: list[float]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"version": 1.3, "people": [{"pose_keypoints_2d": row} for row in people]}
    file = folder / name
    file.write_text(json.dumps(content))
    return file


def body(count: int, offset: float = 0.0) -> list[float]:
    """x, y, score of `count` points: (10 + offset, 1, 0.5), (11 + offset, 2, 0.5), ..."""
    return [value for i in range(count) for value in (10.0 + offset + i, 1.0 + i, 0.5)]


def test_frames_belong_together_by_the_last_number(tmp_path: Path) -> None:
    for number in (0, 1, 3):
        write(tmp_path / "a", f"cam7.{number:04}.json", body(25))
    for number in (1, 2, 3):
        write(tmp_path / "b", f"take2_{number:012}_keypoints.json", body(25), body(25, 100))
    write(tmp_path / "b", "take2_000000000004_keypoints.json")
    frames = list(read_detections({"a": tmp_path / "a", "b": tmp_path / "b"}))
    assert [number for number, _ in frames] == [0, 1, 2, 3, 4]
    assert [sorted(views) for _, views in frames] == [["a"], ["a", "b"], ["b"], ["a", "b"], ["b"]]
    assert [len(views.get("b", [])) for _, views in frames] == [0, 2, 2, 2, 0]
    assert frames[4][1] == {"b": []}  # a camera that sees nobody is there, and empty


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_layout_gives_coco(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    write(tmp_path / "a", "0.json", body(len(layout.joints)))
    write(tmp_path / "b", "0.json")
    ((_, views),) = read_detections({"a": tmp_path / "a", "b": tmp_path / "b"}, name)
    expected = [10.0 + layout.joints.index(joint) for joint in LAYOUTS["coco17"].joints]
    assert views["a"][0].joints_px[:, 0].tolist() == expected


def test_zero_is_unseen(tmp_path: Path) -> None:
    points = body(25)
    points[3 * 5 : 3 * 6] = [0.0, 0.0, 0.0]  # the left shoulder of BODY_25B
    write(tmp_path / "a", "0.json", points, body(25))
    write(tmp_path / "b", "0.json", body(25))
    ((_, views),) = read_detections({"a": tmp_path / "a", "b": tmp_path / "b"})
    sighting = views["a"][0]
    assert BODY_25B.joints[5] == "left_shoulder"
    assert np.isnan(sighting.joints_px[5]).all()
    assert sighting.scores[5] == 0
    assert np.isfinite(np.delete(sighting.joints_px, 5, axis=0)).all()
    assert sighting.score == pytest.approx(0.5)


def two(tmp_path: Path) -> dict[str, Path]:
    write(tmp_path / "a", "1.json", body(25))
    write(tmp_path / "b", "1.json", body(25))
    return {"a": tmp_path / "a", "b": tmp_path / "b"}


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(BadDetections, match="not a folder"):
        frame_files({**two(tmp_path), "c": tmp_path / "c"})


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    with pytest.raises(BadDetections, match=r"holds no \.json file"):
        frame_files({**two(tmp_path), "c": tmp_path / "c"})


def test_a_name_without_a_number(tmp_path: Path) -> None:
    folders = two(tmp_path)
    write(tmp_path / "a", "people.json")
    with pytest.raises(BadDetections, match="no frame number"):
        frame_files(folders)


def test_two_files_of_one_number(tmp_path: Path) -> None:
    folders = two(tmp_path)
    write(tmp_path / "a", "x_01.json")
    with pytest.raises(BadDetections, match="both frame 1"):
        frame_files(folders)


def test_no_frame_in_two_cameras(tmp_path: Path) -> None:
    write(tmp_path / "a", "1.json", body(25))
    write(tmp_path / "b", "2.json", body(25))
    with pytest.raises(BadDetections, match="no frame number is in two"):
        frame_files({"a": tmp_path / "a", "b": tmp_path / "b"})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[3]", "{}", '{"people": 3}', '{"people": [{}]}', "[" * 100_000,
     '{"people": [{"pose_keypoints_2d": ["x"]}]}', '{"people": [{"pose_keypoints_2d": [[1], 2]}]}'],
)  # fmt: skip
def test_a_file_that_is_none_of_the_formats(tmp_path: Path, text: str) -> None:
    folders = two(tmp_path)
    (tmp_path / "a" / "1.json").write_text(text)
    with pytest.raises(BadDetections, match=r"1\.json"):
        list(read_detections(folders))


@pytest.mark.parametrize(("count", "word"), [(18 * 3, "18"), (25 * 3 + 1, "multiple of 3")])
def test_another_number_of_points(tmp_path: Path, count: int, word: str) -> None:
    folders = two(tmp_path)
    write(tmp_path / "a", "1.json", [1.0] * count)
    with pytest.raises(BadDetections, match=word):
        list(read_detections(folders))


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    folders = two(tmp_path)
    write(tmp_path / "a", "1.json", [float("inf")] * 75)  # JSON of Python's own writes Infinity
    with pytest.raises(BadDetections, match="finite"):
        list(read_detections(folders))


def test_an_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(BadDetections, match="body25b"):
        read_detections(two(tmp_path), "body99")


def test_a_file_too_large_to_be_one(tmp_path: Path) -> None:
    folders = two(tmp_path)
    write(tmp_path / "a", "2.json")
    with (tmp_path / "a" / "1.json").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(BadDetections, match=str(MAX_FILE_BYTES)):
        list(read_detections(folders))
    (tmp_path / "a" / "2.json").unlink()  # the only one may hold a video
    with (tmp_path / "a" / "1.json").open("wb") as file:
        file.truncate(MAX_VIDEO_BYTES + 1)  # a hole: no disk is used
    with pytest.raises(BadDetections, match=str(MAX_VIDEO_BYTES)):
        list(read_detections(folders))


def test_body25_is_not_body25b(tmp_path: Path) -> None:
    assert BODY_25.joints != BODY_25B.joints
    folders = two(tmp_path)
    b = next(iter(read_detections(folders, "body25b")))[1]["a"][0]
    old = next(iter(read_detections(folders, "body25")))[1]["a"][0]
    assert b.joints_px[0].tolist() == old.joints_px[0].tolist()  # the nose is first in both
    assert b.joints_px[6].tolist() != old.joints_px[6].tolist()  # the right shoulder is not
