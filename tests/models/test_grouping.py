from dataclasses import replace

import numpy as np
import pytest

from kernels.grouping_fast import reference
from models.candidates import Candidates
from models.grouping import DecodeSettings, group
from models.likeness import first_of_each, without_repeats
from models.sighting import Sighting
from models.skeleton import COCO17

J = len(COCO17.joints)
# A person 160 px tall, standing: x is left of the middle for right joints.
POSE = np.asarray(
    [
        (0, 0), (3, -3), (-3, -3), (7, -1), (-7, -1),
        (20, 25), (-20, 25), (25, 55), (-25, 55), (27, 80), (-27, 80),
        (12, 80), (-12, 80), (13, 115), (-13, 115), (14, 150), (-14, 150),
    ],
    dtype=np.float64,
)  # fmt: skip
TORSO = [5, 6, 11, 12]


def picture(people, *, fields=True, seeds=True, score=0.9):
    """Candidates of people at (x, y, tag), their peaks exact."""
    k, m = max(len(people), 1), len(people) if seeds else 0
    joints = np.zeros((J, k, 2))
    scores = np.zeros((J, k))
    tags = np.zeros((J, k, 1))
    centers, sizes = np.full((J, k, 2), np.nan), np.full((J, k), np.nan)
    for index, (x, y, tag) in enumerate(people):
        pose = POSE + np.asarray([x, y])
        joints[:, index], scores[:, index], tags[:, index] = pose, score - 0.01 * index, tag
        if fields:
            centers[:, index], sizes[:, index] = pose[TORSO].mean(0), 153.0
    poses = np.asarray([POSE + np.asarray([x, y]) for x, y, _ in people[:m]]).reshape(m, J, 2)
    return Candidates(
        joints_px=joints,
        scores=scores,
        tags=tags,
        centers_px=centers,
        sizes_px=sizes,
        seeds_px=poses[:, TORSO].mean(1) if m else np.zeros((0, 2)),
        seed_scores=np.linspace(0.8, 0.7, m),
        seed_joints_px=poses,
        cell_px=4.0,
        size_px=(800, 600),
    )


def poses(people):
    return sorted(person.joints_px[0, 0] for person in people)


@pytest.mark.parametrize("fields", [True, False])
@pytest.mark.parametrize("seeds", [True, False])
def test_two_people_are_told_apart(fields, seeds):
    found = group(
        picture([(100, 50, -3), (400, 60, 3)], fields=fields, seeds=seeds), DecodeSettings()
    )
    assert poses(found) == [100, 400]
    for person in found:
        np.testing.assert_array_equal(person.joints_px - person.joints_px[0], POSE - POSE[0])
        assert not person.inferred.any()


def test_tags_alone_separate_people_who_stand_in_each_other():
    # A quarter of their height apart, no other evidence: only the tags differ.
    found = group(
        picture([(100, 50, -3), (140, 50, 3)], fields=False, seeds=False), DecodeSettings()
    )
    assert poses(found) == [100, 140]
    for person in found:
        np.testing.assert_array_equal(person.joints_px - person.joints_px[0], POSE - POSE[0])


def test_equal_tags_and_equal_scores_still_give_two_people():
    # The published decoder keys people by their tag: equal tags merged them silently.
    scene = picture([(100, 50, 0), (500, 50, 0)])
    scene = replace(scene, scores=np.full_like(scene.scores, 0.9))
    found = group(scene, DecodeSettings())
    assert poses(found) == [100, 500]
    assert all((np.abs(p.joints_px[:, 0] - p.joints_px[0, 0]) < 40).all() for p in found)


def test_score_is_the_mean_over_joints_held_down_by_those_missing():
    scene = picture([(100, 50, 0)], score=0.8)
    assert group(scene, DecodeSettings())[0].score == pytest.approx(0.8)
    scores = scene.scores.copy()
    scores[9:11] = 0  # no wrists
    settings = DecodeSettings(trust_joints=99)
    person = group(replace(scene, scores=scores), settings)[0]
    assert person.score == pytest.approx(0.8 * np.sqrt(15 / 17))
    assert np.isnan(person.joints_px[9]).all()
    assert person.scores[9] == 0


def test_a_weak_peak_fills_a_gap_only_near_the_person():
    scene = picture([(100, 50, 0)])
    near, far = scene.scores.copy(), scene.joints_px.copy()
    near[9, 0] = 0.05  # below the threshold of a peak, above that of a filling
    found = group(replace(scene, scores=near), DecodeSettings(trust_joints=99))[0]
    np.testing.assert_array_equal(found.joints_px[9], POSE[9] + (100, 50))
    assert found.inferred[9]
    assert found.inferred.sum() == 1
    far[9, 0] += 200
    found = group(replace(scene, scores=near, joints_px=far), DecodeSettings(trust_joints=99))[0]
    assert np.isnan(found.joints_px[9]).all()
    assert not found.inferred[9]


def test_a_trusted_centre_places_a_joint_and_says_so():
    scene = picture([(100, 50, 0)])
    scores = scene.scores.copy()
    scores[15] = 0
    person = group(replace(scene, scores=scores), DecodeSettings())[0]
    np.testing.assert_allclose(person.joints_px[15], POSE[15] + (100, 50))
    assert person.inferred[15]
    assert person.scores[15] == pytest.approx(0.15 * 0.8)


def test_one_person_found_twice_is_one():
    scene = picture([(100, 50, -4), (102, 51, 4)])
    assert len(group(scene, DecodeSettings())) == 1


def test_a_person_seen_facing_both_ways_is_one():
    scene = picture([(100, 50, -4), (104, 50, 4)])
    joints = scene.joints_px.copy()
    flipped = list(COCO17.flip_order)
    joints[:, 1] = joints[flipped, 1]
    assert len(group(replace(scene, joints_px=joints), DecodeSettings())) == 1


def test_two_joints_are_nobody():
    scene = picture([(100, 50, 0)])
    scores = np.zeros_like(scene.scores)
    scores[:2] = 0.9
    assert group(replace(scene, scores=scores), DecodeSettings()) == []


def test_an_empty_picture_has_nobody():
    assert group(picture([]), DecodeSettings()) == []
    assert group(picture([], fields=False, seeds=False), DecodeSettings()) == []


def test_people_come_best_first_and_in_any_order_of_candidates():
    scene = picture([(100, 50, -3), (400, 60, 3), (650, 60, 6)])
    found = group(scene, DecodeSettings())
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    turned = replace(
        scene,
        joints_px=scene.joints_px[:, ::-1],
        scores=scene.scores[:, ::-1],
        tags=scene.tags[:, ::-1],
        centers_px=scene.centers_px[:, ::-1],
        sizes_px=scene.sizes_px[:, ::-1],
    )
    for one, other in zip(found, group(turned, DecodeSettings()), strict=True):
        np.testing.assert_array_equal(one.joints_px, other.joints_px)


def crowd(seed):
    """Up to thirty people who overlap, joints hidden or weak, peaks of nobody, tags that waver."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 31))
    people = [(*rng.uniform(0, (800, 500)), rng.uniform(-20, 20)) for _ in range(count)]
    scene = picture(people, fields=bool(seed % 2), seeds=bool(seed % 3))
    scores = rng.uniform(0.3, 0.95, scene.scores.shape)
    hidden = rng.random(scores.shape)
    scores = np.where(hidden < 0.2, rng.uniform(0.0, 0.1, scores.shape), scores)
    best = np.argsort(-scores, axis=1)
    strays = rng.random(scores.shape)[..., None] < 0.05
    joints = scene.joints_px + rng.normal(0, 3, scene.joints_px.shape)
    joints = np.where(strays, rng.uniform(0, 800, joints.shape), joints)
    tags = scene.tags + rng.normal(0, 0.3, scene.tags.shape)
    centers = scene.centers_px + rng.normal(0, 8, scene.centers_px.shape)
    sizes = scene.sizes_px * rng.uniform(0.8, 1.2, scene.sizes_px.shape)
    return replace(
        scene,
        joints_px=np.take_along_axis(joints, best[..., None], 1),
        scores=np.take_along_axis(scores, best, 1),
        tags=np.take_along_axis(tags, best[..., None], 1),
        centers_px=np.take_along_axis(centers, best[..., None], 1),
        sizes_px=np.take_along_axis(sizes, best, 1),
        seed_joints_px=scene.seed_joints_px + rng.normal(0, 5, scene.seed_joints_px.shape),
    )


def test_people_are_those_of_the_definition(monkeypatch):
    """Compiled grouping against its definition in numpy and scipy: nothing ties, so all agrees."""
    scenes = [crowd(seed) for seed in range(50)]
    found = [group(scene, DecodeSettings()) for scene in scenes]
    monkeypatch.setattr("models.grouping.group_peaks", reference)
    for scene, people in zip(scenes, found, strict=True):
        wanted = group(scene, DecodeSettings())
        assert len(people) == len(wanted)
        for one, other in zip(people, wanted, strict=True):
            np.testing.assert_array_equal(one.joints_px, other.joints_px)
            np.testing.assert_array_equal(one.scores, other.scores)
            np.testing.assert_array_equal(one.inferred, other.inferred)
    assert sum(map(len, found)) > 300  # of about 750 who stand in each other's way


def test_who_is_the_same_as_one_who_left_stays():
    # 1 repeats 0 and leaves; 2 repeats only 1, who is gone.
    same = np.asarray([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)
    assert first_of_each(same) == [0, 2]
    assert first_of_each(np.zeros((0, 0), dtype=bool)) == []


def test_a_much_weaker_person_in_the_box_of_a_better_one_is_leftovers():
    """The same box by other joints: no likeness, overlap 1. At 0.8 of the score it goes."""
    seen = (np.arange(J) + 1) // 2 % 2 == 0  # left and right go together
    box = np.where(np.arange(J)[:, None] < 9, [0.0, 0.0], [100.0, 100.0])

    def person(which, score):
        joints = np.where(which[:, None], box, np.nan)
        return Sighting(joints, which * score, score, np.zeros(J, dtype=bool))

    better = person(seen, 0.5)
    assert len(without_repeats([better, person(~seen, 0.41)], 0.5)) == 2
    assert without_repeats([better, person(~seen, 0.40)], 0.5) == [better]
