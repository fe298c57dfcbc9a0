from pathlib import Path

import numpy as np
import pytest

from models.candidates import Candidates
from models.sighting import Sighting
from models.training.metrics import average_precision, oracle_groups, pck
from models.training.photos import LabelledPerson, Photo

NOBODY = np.zeros((0, 4))


def labelled(shift=0.0):
    joints = np.zeros((17, 3))
    joints[:, 0] = 100 + shift + 5 * np.arange(17)
    joints[:, 1] = 50 + 10 * np.arange(17)
    joints[:, 2] = 2
    box = np.asarray([100 + shift, 50, 180 + shift, 210])
    return LabelledPerson(joints, box, 80.0 * 160, "human", 0)


def photo(*people, sole=False):
    return Photo(Path("none"), 1, (640, 480), people, NOBODY, sole, None)


def seen(person, move=0.0, score=0.9):
    scores = np.full(17, score)
    return Sighting(person.joints[:, :2] + (move, 0), scores, score, np.zeros(17, bool))


def test_perfect_people_are_perfect():
    people = [labelled(), labelled(200)]
    precision = average_precision([photo(*people)], [[seen(one) for one in people]])
    assert precision.ap == pytest.approx(1)
    assert precision.ar == pytest.approx(1)


def test_half_of_the_people_and_a_false_one():
    people = [labelled(), labelled(200)]
    found = [seen(people[0]), seen(labelled(420), score=0.95)]
    precision = average_precision([photo(*people)], [found])
    assert precision.ar == pytest.approx(0.5)
    # Ranked after the false one: precision is 1/2 up to a recall of 1/2 (51 of 101 points).
    assert precision.ap == pytest.approx(0.5 * 51 / 101, abs=1e-6)
    assert average_precision([photo(*people)], [[]]).ap == 0


def test_pck_by_hand():
    one = labelled()
    # Shoulders' middle to hips' middle: 6 joints on, (30, 60) px, so the reach is 0.2 * 67.1.
    reach = 0.2 * np.hypot(30, 60)
    assert pck([photo(one)], [[seen(one, reach - 0.1)]]) == 1
    assert pck([photo(one)], [[seen(one, reach + 0.1)]]) == 0
    half = seen(one)
    half.joints_px[5:11] = np.nan
    assert pck([photo(one)], [[half, seen(one, 300)]]) == pytest.approx(6 / 12)


def test_the_oracle_takes_the_peak_of_each_person():
    people = [labelled(), labelled(200)]
    joints = np.stack([person.joints[:, :2] for person in people], axis=1)  # (17, 2, 2)
    candidates = Candidates(
        joints_px=joints[:, ::-1],
        scores=np.full((17, 2), 0.5),
        tags=np.zeros((17, 2, 1)),
        centers_px=np.full((17, 2, 2), np.nan),
        sizes_px=np.full((17, 2), np.nan),
        seeds_px=np.zeros((0, 2)),
        seed_scores=np.zeros(0),
        seed_joints_px=np.zeros((0, 17, 2)),
        cell_px=4.0,
        size_px=(640, 480),
    )
    groups = oracle_groups(photo(*people), candidates)
    for found, person in zip(groups, people, strict=True):
        np.testing.assert_array_equal(found.joints_px, person.joints[:, :2])
