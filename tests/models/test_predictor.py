import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from models.errors import BadImage, WeightsDamaged
from models.predictor import OnnxPredictor
from models.skeleton import COCO17
from models.weights import default_weights

from .shared import shared


@pytest.fixture(scope="module")
def predictor():
    return OnnxPredictor(default_weights())


def photo(name):
    image = cv2.imread(str(shared(name)))
    assert image is not None
    return image


def test_says_what_it_is(predictor):
    assert predictor.name == "quadglass-m"
    assert len(predictor.sha256) == 64
    assert predictor.input_side == 352
    assert predictor.skeleton is COCO17


def test_serving_imports_no_torch():
    code = (
        "import models.predictor, models.weights, models.grouping, models.skeleton, sys; "
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("size", [(1, 1), (480, 640), (20000, 3), (3, 20000)])
def test_nobody_in_black(predictor, size):
    assert predictor.predict([np.zeros((*size, 3), dtype=np.uint8)]) == [[]]


def test_twenty_thousand_pixels_of_noise_are_survived(predictor):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (20000, 300, 3), dtype=np.uint8)
    (people,) = predictor.predict([image])
    for person in people:
        seen = person.joints_px[person.scores > 0]
        assert (seen >= -0.5).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((0, 4, 3), dtype=np.uint8),
    ],
    ids=["grey", "alpha", "float", "empty"],
)
def test_what_is_no_picture_is_refused(predictor, image):
    with pytest.raises(BadImage, match=r"image 1 is .*send height x width x 3 of uint8"):
        predictor.predict([np.zeros((8, 8, 3), dtype=np.uint8), image])


def test_no_images_no_people(predictor):
    assert predictor.predict([]) == []


def test_somebody_elses_onnx_is_refused():
    path = shared("train/teachers/movenet-lightning.onnx")
    with pytest.raises(WeightsDamaged, match="not a network of ours"):
        OnnxPredictor(path)


def test_a_batch_of_differing_sizes_is_what_each_is_alone(predictor):
    upright = photo("train/pennfudan/images/FudanPed00001.jpg")
    images = [upright, upright[:, ::2], upright]
    together = predictor.predict(images)
    for image, people in zip(images, together, strict=True):
        (alone,) = predictor.predict([image])
        assert len(alone) == len(people)
        for one, other in zip(alone, people, strict=True):
            # The same float32 graph in another batch: sums may be taken in another order.
            np.testing.assert_allclose(one.joints_px, other.joints_px, atol=0.05)


def test_finds_an_upright_person_where_they_are(predictor):
    path = shared("train/pennfudan/person_keypoints.json")
    stored = json.loads(path.read_text())
    first = stored["images"][0]
    labels = [a for a in stored["annotations"] if a["image_id"] == first["id"]]
    (people,) = predictor.predict([photo(f"train/pennfudan/{first['file_name']}")])
    for label in labels:
        joints = np.asarray(label["keypoints"], dtype=float).reshape(17, 3)
        known = joints[:, 2] > 0
        apart = min(
            np.nanmedian(np.linalg.norm(p.joints_px[known] - joints[known, :2], axis=1))
            for p in people
        )
        assert apart < 0.05 * max(label["bbox"][2:])


def test_finds_the_person_of_the_sample_footage(predictor):
    # OpenPose's joints are good to about 6 px in this footage, ours to a third of a cell of 20 px.
    film = cv2.VideoCapture(str(shared("data/pose2sim-balancing/videos/cam03.mp4")))
    found = []
    for frame in range(30):
        ok, image = film.read()
        assert ok
        if frame % 10 == 0:
            name = f"data/pose2sim-balancing/pose2d/cam03/cam03.{frame:04d}.json"
            openpose = json.loads(shared(name).read_text())
            points = np.asarray(openpose["people"][0]["pose_keypoints_2d"]).reshape(25, 3)
            (people,) = predictor.predict([image])
            found.append((points[:17], people))
    apart = [
        np.linalg.norm(people[0].joints_px - points[:, :2], axis=1)[5:][points[5:, 2] > 0.3]
        for points, people in found
    ]
    assert np.median(np.concatenate(apart)) < 20
    assert sum(len(people) for _, people in found) <= 4  # three frames of one person
