import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import BadTrainingData
from models.sighting import Sighting
from models.skeleton import COCO17
from models.training.coco_folder import read_labelled
from models.training.metrics import average_precision, pckh
from models.training.photos import LabelledPerson, Photo
from models.training.similarity import similarity
from models.training.worst import write_worst

NONE = np.zeros(17, dtype=bool)


def person(left, top, size, hidden=0, head=float("nan")):
    xs, ys = np.linspace(left, left + size / 2, 17), np.linspace(top, top + size, 17)
    marks = np.where(np.arange(17) < hidden, 1.0, 2.0)
    box = np.asarray([left, top, left + size / 2, top + size])
    return LabelledPerson(np.column_stack([xs, ys, marks]), box, size * size / 2, "human", 0, head)


def photo(people, path="photo.png", key=1):
    nobody = np.zeros((0, 4))
    return Photo(Path(path), key, (640, 480), tuple(people), nobody, False, None)


def found(one, off=0.0, score=0.9):
    return Sighting(one.joints[:, :2] + off, np.full(17, score), score, NONE)


def test_similarity_by_size_and_visibility():
    small, large = person(10, 10, 30), person(100, 50, 300, hidden=5)
    both = similarity([photo([small, large])], [[found(large), found(small)]])
    assert (both.small, both.large, both.seen, both.hidden) == (1, 1, 1, 1)
    assert np.isnan(both.medium)
    lost = similarity([photo([small, large])], [[found(large)]])
    assert (lost.small, lost.large, lost.hidden) == (0, 1, 1)
    assert lost.seen == pytest.approx(12 / (17 + 12))


def test_similarity_is_cocos_formula():
    one = person(100, 50, 300)
    off = similarity([photo([one])], [[found(one, off=np.asarray([6.0, 8.0]))]])
    spreads = 2 * np.asarray(COCO17.oks_sigmas)
    assert off.large == pytest.approx(np.exp(-100 / (2 * one.area_px2 * spreads**2)).mean())


def crowd(count):
    """Photos of two people each; every third has one of them missed, every fourth a false one."""
    photos, people = [], []
    for index in range(count):
        first, second = person(20, 20, 200), person(300, 100, 150)
        seen = [found(first, off=index % 5, score=0.5 + index / 100)]
        if index % 3:
            seen.append(found(second, off=index % 7, score=0.6))
        if index % 4 == 0:
            seen.append(found(second, off=150, score=0.55))
        photos.append(photo([first, second], key=index))
        people.append(seen)
    return photos, people


def test_the_interval_holds_the_ap_and_shrinks_with_more_photos():
    few = average_precision(*crowd(12), draws=100)
    many = average_precision(*crowd(96), draws=100)
    for one in (few, many):
        assert one.ap_low < one.ap < one.ap_high
    # Eight times the photos: the interval shrinks by about the root of eight.
    assert (many.ap_high - many.ap_low) < 0.6 * (few.ap_high - few.ap_low)
    assert np.isnan(average_precision(*crowd(4)).ap_low)


def test_drawing_a_lone_photo_again_gives_pycocotools_own_ap():
    """With people of every size in it, some of them missed, one too many, one off."""
    small, medium, large = person(10, 10, 40), person(100, 50, 100), person(200, 50, 300)
    photos = [photo([small, medium, large])]
    people = [[found(large, off=9), found(medium, off=30, score=0.8), found(small, score=0.2)]]
    alone = average_precision(photos, people, draws=3)
    assert alone.ap_low == alone.ap_high == pytest.approx(alone.ap, abs=1e-12)


def test_pckh_is_within_half_a_head():
    one = person(100, 50, 300, head=40.0)
    assert pckh([photo([one])], [[found(one, off=np.asarray([19.0, 0]))]]) == 1
    assert pckh([photo([one])], [[found(one, off=np.asarray([21.0, 0]))]]) == 0
    assert np.isnan(pckh([photo([person(0, 0, 50)])], [[]]))


def coco_file(names, **person_more):
    joints = [value for k in range(len(names)) for value in (10 + 3 * k, 20 + 5 * k, 2)]
    annotation = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [5, 5, 40, 60]}
    annotation |= {"keypoints": joints, **person_more}
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 80, "height": 80}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }


def test_a_folder_of_others_with_joints_in_another_order(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val").mkdir()
    cv2.imwrite(str(tmp_path / "val/a.png"), np.zeros((80, 80, 3), np.uint8))
    file = tmp_path / "annotations/person_keypoints_val.json"
    file.write_text(json.dumps(coco_file(["left_knee", "nose", "head_top"])), encoding="utf-8")
    (read,) = read_labelled(tmp_path)
    assert read.path == tmp_path / "val/a.png"
    joints = read.people[0].joints
    assert joints[COCO17.joints.index("left_knee")].tolist() == [10, 20, 2]
    assert joints[COCO17.joints.index("nose")].tolist() == [13, 25, 2]
    assert (joints[:, 2] > 0).sum() == 2
    (tmp_path / "second.json").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(BadTrainingData, match="name the file instead"):
        read_labelled(tmp_path)
    assert len(read_labelled(file)) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"images": []}, "needs one COCO keypoint file"),
        (coco_file(["tail"]), "is a joint of ours"),
        (coco_file(["nose"], keypoints=[1, 2]), "is not COCO keypoints"),
        (coco_file(["nose"]), "which is not near it"),
        (coco_file(["nose"], iscrowd=1), "no image with people"),
    ],
)
def test_folders_that_cannot_be_measured_on(tmp_path, content, words):
    (tmp_path / "labels.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadTrainingData, match=words):
        read_labelled(tmp_path)


def test_the_worst_photo_is_drawn_first(tmp_path):
    one = person(20, 20, 200)
    for name in ("good.png", "bad.png"):
        cv2.imwrite(str(tmp_path / name), np.full((480, 640, 3), 90, np.uint8))
    photos = [photo([one], tmp_path / "good.png"), photo([one], tmp_path / "bad.png", 2)]
    written = write_worst(photos, [[found(one)], [found(one, off=80)]], tmp_path / "worst", 1)
    assert [path.name.endswith("bad.png") for path in written] == [True]
    drawn = cv2.imread(str(written[0]))
    assert drawn.shape == (480, 1280, 3)
    assert (drawn[:, :640] != drawn[:, 640:]).any()
    assert (drawn != 90).any(axis=(1, 2)).any()
