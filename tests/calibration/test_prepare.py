from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from calibration.errors import BadFootage, BadLayout, Cancelled
from calibration.footage import pictures
from calibration.prepare import (
    footage_from_dir,
    footage_from_manifest,
    footage_from_quad,
    parse_layout,
    prepare,
)


def _picture(seed: int, size: tuple[int, int] = (128, 96)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (size[1], size[0])).astype(np.uint8)


def _folders(root: Path, names: dict[str, list[str]]) -> Path:
    for camera, stems in names.items():
        (root / camera).mkdir(parents=True)
        for index, stem in enumerate(stems):
            cv2.imwrite(str(root / camera / f"{stem}.png"), _picture(index))
    return root


def _video(path: Path, frames: list[np.ndarray], codec: str = "MJPG") -> Path:
    height, width = frames[0].shape
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (width, height), False)
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("2x2", [(0, 0, 200, 100), (200, 0, 200, 100), (0, 100, 200, 100), (200, 100, 200, 100)]),
        ("4x1", [(0, 0, 100, 200), (100, 0, 100, 200), (200, 0, 100, 200), (300, 0, 100, 200)]),
        ("1x2", [(0, 0, 400, 100), (0, 100, 400, 100)]),
        ("0,0,200,200; 200,0,200,150", [(0, 0, 200, 200), (200, 0, 200, 150)]),
    ],
)
def test_layouts_on_paper(text: str, boxes: list[tuple[int, int, int, int]]) -> None:
    assert list(parse_layout(text).boxes_in((400, 200))) == boxes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not understood"),
        ("2y2", "not understood"),
        ("1x1", "1 parts"),
        ("9x9", "81 parts"),
        ("0,0,100", "not understood"),
        ("-1,0,100,100;0,0,1,1", "not understood"),
        ("0,0,100,100", "1 boxes"),
        ("0,0,100,100;50,50,100,100", "overlap"),
    ],
)
def test_layouts_that_are_refused(text: str, words: str) -> None:
    with pytest.raises(BadLayout, match=words) as caught:
        parse_layout(text)
    assert (caught.value.code, caught.value.field) == ("bad_layout", "/layout")


def test_boxes_outside_the_picture_are_refused_with_numbers() -> None:
    with pytest.raises(BadLayout, match=r"ends at \(500, 200\), outside the 400x200"):
        parse_layout("0,0,200,200;300,0,200,200").boxes_in((400, 200))
    with pytest.raises(BadLayout, match="under 64"):
        parse_layout("4x4").boxes_in((200, 200))


def test_moments_are_told_by_file_names(tmp_path: Path) -> None:
    footage = footage_from_dir(_folders(tmp_path, {"left": ["a", "b"], "right": ["b", "c"]}))
    assert footage.cameras == ("left", "right")
    assert [clip.moments for clip in footage.clips] == [("a", "b"), ("b", "c")]


def test_the_cameras_name_in_a_file_name_says_nothing(tmp_path: Path) -> None:
    names = {"left": ["left01", "left02"], "cam_b": ["cam_b_01", "02-cam_b"]}
    footage = footage_from_dir(_folders(tmp_path, names))
    assert {clip.moments for clip in footage.clips} == {("01", "02"), ("02", "01")}


def test_a_four_in_one_video_is_cut_and_prepared(tmp_path: Path) -> None:
    frames = []
    for index in range(6):
        parts = [
            cv2.GaussianBlur(_picture(10 * index + c, (160, 120)), (0, 0), 3) for c in range(4)
        ]
        frames.append(cv2.vconcat([cv2.hconcat(parts[:2]), cv2.hconcat(parts[2:])]))
    video = _video(tmp_path / "quad.avi", frames)
    layout = parse_layout("2x2")
    lazy = footage_from_quad(video, layout, moments=3)
    assert lazy.cameras == ("cam0", "cam1", "cam2", "cam3")
    prepared = prepare(video, tmp_path / "out", layout, moments=3)
    again = footage_from_manifest(tmp_path / "out")
    assert footage_from_dir(tmp_path / "out") == again

    for footage in (lazy, prepared, again):
        moments = {clip.moments for clip in footage.clips}
        assert len(moments) == 1
        assert len(moments.pop()) == 3
        assert footage.clips[3].cut_from.crop_xywh == (160, 120, 160, 120)
        assert footage.clips[3].cut_from.file == "quad.avi"
    cut = {(c.camera, m): p for c, m, p in pictures(lazy.clips)}
    kept = {(c.camera, m): p for c, m, p in pictures(again.clips)}
    assert cut.keys() == kept.keys()
    for key in cut:
        np.testing.assert_array_equal(cut[key], kept[key])
    # MJPG moves grey levels by a few; a wrong quarter would differ by 30.
    truth = frames[int(lazy.clips[0].moments[0])][120:, 160:]
    first = cut["cam3", lazy.clips[0].moments[0]]
    assert np.abs(first.astype(int) - truth.astype(int)).mean() < 6

    manifest = yaml.safe_load((tmp_path / "out" / "manifest.yaml").read_text())
    assert manifest["layout"] == "2x2"
    assert manifest["cameras"]["cam1"]["crop_xywh"] == [160, 0, 160, 120]
    assert [int(m["name"]) for m in manifest["moments"]] == [
        m["frame"] for m in manifest["moments"]
    ]
    with pytest.raises(BadFootage, match="already holds"):
        prepare(video, tmp_path / "out", layout)


def test_sharp_frames_are_chosen_and_black_and_repeated_ones_dropped(tmp_path: Path) -> None:
    sharp = [cv2.resize(_picture(i, (40, 30)), (160, 120)) for i in range(4)]
    blurred = [cv2.GaussianBlur(frame, (0, 0), 6) for frame in sharp]
    black = np.zeros((120, 160), np.uint8)
    # spans of two: blurred+sharp, sharp+blurred, black+black, the last sharp one again
    frames = [blurred[0], sharp[0], sharp[1], blurred[1], black, black, sharp[1], sharp[1]]
    for name in ("a", "b"):
        _video(tmp_path / f"{name}.avi", frames)
    footage = footage_from_dir(tmp_path, moments=4)
    assert footage.clips[0].frames == (1, 2)
    assert footage.clips[0].frame_count == 8


def test_cutting_can_be_stopped(tmp_path: Path) -> None:
    video = _video(tmp_path / "quad.avi", [_picture(i, (256, 192)) for i in range(4)])
    with pytest.raises(Cancelled):
        prepare(video, tmp_path / "out", parse_layout("2x2"), cancelled=lambda: True)
    assert not (tmp_path / "out" / "manifest.yaml").exists()


def test_pictures_of_unequal_size_are_refused(tmp_path: Path) -> None:
    root = _folders(tmp_path, {"left": ["a"], "right": ["a"]})
    cv2.imwrite(str(root / "right" / "b.png"), _picture(0, (64, 48)))
    with pytest.raises(BadFootage, match=r"64x48.*128x96") as caught:
        list(pictures(footage_from_dir(root).clips))
    assert caught.value.camera == "right"


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_a_picture_that_cannot_be_decoded_is_named(tmp_path: Path, content: bytes) -> None:
    root = _folders(tmp_path, {"left": ["a"], "right": ["a"]})
    (root / "left" / "broken.png").write_bytes(content)
    with pytest.raises(BadFootage, match=r"broken\.png cannot be decoded"):
        list(pictures(footage_from_dir(root).clips))


@pytest.mark.parametrize("content", [b"", b"RIFF1234AVI nothing in it", b"\0" * 2000])
def test_a_video_without_frames_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.avi").write_bytes(content)
    with pytest.raises(BadFootage, match=r"a\.avi .*convert it"):
        footage_from_dir(tmp_path)
    with pytest.raises(BadFootage, match=r"a\.avi"):
        footage_from_quad(tmp_path / "a.avi", parse_layout("2x2"))


def test_folders_that_hold_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(BadFootage, match="not a folder"):
        footage_from_dir(tmp_path / "missing")
    with pytest.raises(BadFootage, match="neither"):
        footage_from_dir(tmp_path)
    cv2.imwrite(str(tmp_path / "a.png"), _picture(0))
    with pytest.raises(BadFootage, match="1 images lie directly"):
        footage_from_dir(tmp_path)
    _folders(tmp_path, {"bad name!": ["a"]})
    with pytest.raises(BadFootage, match="rename"):
        footage_from_dir(tmp_path)


def test_intrinsics_of_a_camera_the_rig_has_not(tmp_path: Path) -> None:
    rig = _folders(tmp_path / "rig", {"left": ["a"], "right": ["a"]})
    close = _folders(tmp_path / "close", {"middle": ["a"]})
    with pytest.raises(BadFootage, match="middle"):
        footage_from_dir(rig, close)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("cameras", "cam0", "folder"), "../../etc"),
        (("moments", 0, "name"), "../../etc/passwd"),
        (("cameras", "cam0", "colour"), "red"),
        (("format",), "other"),
    ],
)
def test_a_manifest_that_leaves_its_folder_is_refused(
    tmp_path: Path, path: tuple[str | int, ...], value: str
) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    cv2.imwrite(str(frames / "a.png"), _picture(0, (256, 192)))
    prepare(frames, tmp_path / "out", parse_layout("2x2"))
    file = tmp_path / "out" / "manifest.yaml"
    content = yaml.safe_load(file.read_text())
    target = content
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(BadFootage, match="prepare the footage again"):
        footage_from_dir(tmp_path / "out")
