from pathlib import Path

import numpy as np
import pytest

from models.training.augment import augment
from models.training.photos import LabelledPerson, Photo
from models.training.scene import (
    Scene,
    ScenePerson,
    crop,
    joint_cells,
    mirrored,
    paste,
    random_view,
    targets,
)


def person(joints, box, labelled=True):
    rows = np.zeros((17, 3))
    for joint, (x, y) in joints.items():
        rows[joint] = x, y, 2
    return ScenePerson(rows, np.asarray(box, dtype=float), 60.0, labelled)


def scene(*people, others=(), outside=1.0, side=64):
    boxes = np.asarray(others, dtype=float).reshape(-1, 4)
    return Scene(np.zeros((side, side, 3), np.uint8), people, boxes, outside)


def test_a_blob_peaks_where_the_half_pixel_rule_says():
    # Pixel 21.5 is the middle of cell 5: (21.5 + 0.5) / 4 - 0.5 = 5.
    heat, _ = targets(scene(person({0: (21.5, 33.5)}, (0, 0, 64, 64))))
    assert np.unravel_index(heat[0].argmax(), heat[0].shape) == (8, 5)
    assert heat[0, 8, 5] == pytest.approx(1)
    assert heat[0, 8, 4] == pytest.approx(heat[0, 8, 6])
    assert heat[1:].max() == 0


def test_what_is_not_labelled_is_not_learned():
    labelled = person({0: (10, 10)}, (4, 4, 28, 60))
    stranger = person({}, (40, 8, 60, 60), labelled=False)
    _, weight = targets(scene(labelled, stranger, others=[(30, 0, 36, 8)]))
    assert weight[0, 2, 2] == 1  # a labelled joint
    assert weight[1, 2, 2] == 0  # an unlabelled joint of a labelled person
    assert (weight[:, 4, 12] == 0).all()  # a person without labels
    assert (weight[:, 0, 8] == 0).all()  # a box to ignore
    assert (weight[:, 15, 8] == 1).all()  # nobody, so truly background


def test_around_a_sole_person_little_is_certain():
    sole = person({0: (32, 32)}, (20, 20, 44, 44))
    _, weight = targets(scene(sole, outside=0.1))
    assert weight[0, 0, 0] == pytest.approx(0.1)
    assert weight[0, 8, 8] == 1


def test_a_mirrored_view_swaps_left_and_right():
    joints = np.zeros((17, 3))
    joints[5], joints[6] = (40, 20, 2), (20, 20, 2)
    labels = LabelledPerson(joints, np.asarray([10.0, 10, 50, 50]), 900.0, "human", 0)
    photo = Photo(Path("none"), 1, (64, 64), (labels,), np.zeros((0, 4)), False, None)
    image = np.zeros((64, 64, 3), np.uint8)
    view = mirrored(np.asarray([[1.0, 0, 0], [0, 1.0, 0]]), 64)
    seen = crop(image, photo, view, 64, np.random.default_rng(0)).people[0]
    np.testing.assert_allclose(seen.joints[5], (63 - 20, 20, 2))
    np.testing.assert_allclose(seen.joints[6], (63 - 40, 20, 2))


def test_a_view_shows_its_person():
    joints = np.zeros((17, 3))
    joints[:, :2], joints[:, 2] = (100, 80), 2
    labels = LabelledPerson(joints, np.asarray([80.0, 40, 120, 120]), 900.0, "human", 0)
    photo = Photo(Path("none"), 1, (200, 160), (labels,), np.zeros((0, 4)), False, None)
    for seed in range(20):
        view = random_view(photo, 128, np.random.default_rng(seed), 20.0)
        middle = view[:, :2] @ (100, 80) + view[:, 2]
        assert ((middle > 0) & (middle < 128)).all()


def test_somebody_in_front_hides_joints():
    behind = person({0: (10, 10), 1: (40, 40)}, (0, 0, 63, 63))
    alpha = np.zeros((64, 64), np.float32)
    alpha[30:50, 30:50] = 1
    front = person({2: (45, 45)}, (30, 30, 50, 50))
    image = np.full((64, 64, 3), 200, np.uint8)
    both = paste(scene(behind), image, alpha, front)
    assert both.people[0].joints[0, 2] == 2
    assert both.people[0].joints[1, 2] == 0
    assert both.people[1] is front
    assert both.image[40, 40, 0] == 200
    assert both.image[10, 10, 0] == 0


def test_joint_cells_leave_out_who_cannot_be_tied_together():
    cells = joint_cells(scene(person({0: (21.5, 33.5), 1: (1.5, 1.5)}, (0, 0, 64, 64))))
    np.testing.assert_array_equal(cells[0, :2], [[5, 8], [0, 0]])
    assert np.isnan(cells[0, 2:]).all()
    assert joint_cells(scene(person({0: (5, 5)}, (0, 0, 9, 9)))).shape == (0, 17, 2)
    outside = person({0: (5, 5), 1: (500, 5)}, (0, 0, 9, 9))
    assert joint_cells(scene(outside)).shape == (0, 17, 2)


def test_augmenting_is_repeatable_and_keeps_the_shape():
    image = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    for seed in range(30):
        one = augment(image, np.random.default_rng(seed))
        assert one.shape == image.shape
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, augment(image, np.random.default_rng(seed)))
