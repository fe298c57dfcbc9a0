import numpy as np

from models.sighting import Sighting
from models.training.identity import Belonging, KnownPerson, belonging

LEFT = np.column_stack([np.full(17, 100.0), np.arange(17) * 10.0])
RIGHT = LEFT + np.asarray([60.0, 0])
PEOPLE = (KnownPerson(LEFT, 160.0), KnownPerson(RIGHT, 160.0))  # reach 16 px


def person(joints_px, inferred=None):
    scores = np.where(np.isnan(joints_px[:, 0]), 0.0, 0.9)
    none = np.zeros(17, dtype=bool)
    return Sighting(joints_px, scores, 0.9, none if inferred is None else inferred)


def test_everyone_has_their_own_joints():
    assert belonging(PEOPLE, [person(RIGHT + 3), person(LEFT - 3)]) == Belonging(34, 34, 34)


def test_joints_exchanged_between_two_are_wrong():
    first, second = LEFT.copy(), RIGHT.copy()
    first[13:], second[13:] = RIGHT[13:], LEFT[13:]
    assert belonging(PEOPLE, [person(first), person(second)]) == Belonging(34, 26, 26)


def test_whoever_was_found_twice_has_all_joints_wrong_the_second_time():
    found = [person(LEFT), person(LEFT + 2)]
    assert belonging(PEOPLE, found) == Belonging(34, 17, 17)


def test_a_joint_on_two_peoples_is_right_but_belongs_to_the_nearer():
    near = (KnownPerson(LEFT, 160.0), KnownPerson(LEFT + np.asarray([20.0, 0]), 160.0))
    joints = LEFT.copy()
    joints[16, 0] += 12  # on its own, 8 px from the other's
    found = [person(joints), person(LEFT + np.asarray([20.0, 0]))]
    assert belonging(near, found) == Belonging(34, 34, 33)


def test_what_lies_on_nobody_or_was_filled_in_is_not_counted():
    joints = LEFT.copy()
    joints[0] += 50
    joints[1] = np.nan
    inferred = np.arange(17) == 2
    found = [person(joints, inferred)]
    assert belonging(PEOPLE, found) == Belonging(14, 14, 14)
    assert belonging((), found) == belonging(PEOPLE, []) == Belonging(0, 0, 0)
    assert np.isnan(belonging((), found).share)
