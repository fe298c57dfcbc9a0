import json
import shutil

import cv2
import numpy as np
import pytest

from models.errors import BadTrainingData
from models.training.photos import is_held_out, read_photos
from models.training.teacher import Thunder, relabel

from .shared import shared


@pytest.fixture(scope="module")
def thunder():
    return Thunder(shared("train/teachers/movenet-thunder.onnx"))


def part_of(folder, output, keys):
    """Some photos of a set as a set of the same name."""
    stored = json.loads((folder / "person_keypoints.json").read_text())
    images = [image for image in stored["images"] if image["id"] in keys]
    people = [item for item in stored["annotations"] if item["image_id"] in keys]
    (output / "images").mkdir(parents=True)
    for image in images:
        shutil.copy(folder / image["file_name"], output / image["file_name"])
    path = output / "person_keypoints.json"
    path.write_text(json.dumps({**stored, "images": images, "annotations": people}))
    return stored


def test_someone_upside_down_is_read_when_turned(thunder):
    folder = shared("train/lspet")
    stored = json.loads((folder / "person_keypoints.json").read_text())
    photos = {image["id"]: image for image in stored["images"]}
    sure = next(a for a in stored["annotations"] if a["teacher_agreement"] > 0.9)
    picture = cv2.imread(str(folder / photos[sure["image_id"]]["file_name"]))
    box = np.asarray(sure["bbox"], dtype=np.float64)
    upright = thunder.label(picture, box)
    turned = np.ascontiguousarray(picture[::-1, ::-1])
    size = np.asarray([picture.shape[1], picture.shape[0]])
    turned_box = np.concatenate([size - 1 - box[:2] - box[2:], box[2:]])
    found = thunder.label(turned, turned_box, turn_deg=180.0)
    both = (upright[:, 2] > 0) & (found[:, 2] > 0)
    assert both.sum() >= 12
    # Half a turn leaves the pixels as they were, so only the cut's rounding differs.
    apart = np.linalg.norm(size - 1 - found[both, :2] - upright[both, :2], axis=1)
    assert np.median(apart) < 0.03 * box[2:].max()


def test_relabelling_adds_people_and_leaves_held_out_photos_alone(thunder, tmp_path):
    folder = shared("train/lspet")
    source, output = tmp_path / "given/lspet", tmp_path / "made/lspet"
    stored = part_of(folder, source, few(folder))
    report = relabel(source, output, thunder)
    assert report.people_added > 0
    before, after = read_photos(source), read_photos(output)
    assert sum(len(p.people) for p in after) >= sum(len(p.people) for p in before)
    kept = [photo.key for photo in before if is_held_out(source, photo)]
    made = json.loads(report.annotations.read_text())
    assert kept
    for key in kept:
        old, new = (
            [a for a in annotations["annotations"] if a["image_id"] == key]
            for annotations in (stored, made)
        )
        assert old == new
    assert all(photo.path.is_file() for photo in after)


def few(folder):
    """Ids of four photos with other people that may be learned from, and of one that may not."""
    stored = json.loads((folder / "person_keypoints.json").read_text())
    with_others = [image["id"] for image in stored["images"] if image["other_people"]]
    return {
        *[key for key in with_others if key % 20][:4],
        next(k for k in with_others if k % 20 == 0),
    }


def test_a_set_is_not_written_over_itself(thunder, tmp_path):
    with pytest.raises(BadTrainingData, match="another folder"):
        relabel(tmp_path / "lspet", tmp_path / "lspet", thunder)
