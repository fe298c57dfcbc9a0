from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.candidates import Candidates
from models.grouping import DecodeSettings
from models.looks import SeveralLooks, merged, mirrored
from models.predictor import OnnxPredictor
from models.skeleton import COCO17
from models.weights import default_weights

from .shared import shared

RNG = np.random.default_rng(3)


def look(peaks=2):
    """A few peaks of each joint, far apart, and one centre."""
    places = RNG.uniform(0, 90, (17, peaks, 2)) + np.arange(peaks)[None, :, None] * [100.0, 0]
    return Candidates(
        joints_px=places,
        scores=np.sort(RNG.uniform(0.4, 0.9, (17, peaks)))[:, ::-1],
        tags=RNG.normal(size=(17, peaks, 1)),
        centers_px=places + 7,
        sizes_px=np.full((17, peaks), 80.0),
        seeds_px=np.asarray([[50.0, 50.0]]),
        seed_scores=np.asarray([0.8]),
        seed_joints_px=RNG.uniform(0, 90, (1, 17, 2)),
        cell_px=8.0,
        size_px=(200, 100),
    )


def test_a_mirrored_mirror_image_is_the_picture():
    one = look()
    again = mirrored(mirrored(one, COCO17.flip_order), COCO17.flip_order)
    for name in ("joints_px", "scores", "tags", "centers_px", "seeds_px", "seed_joints_px"):
        np.testing.assert_allclose(getattr(again, name), getattr(one, name), atol=1e-12)


def test_mirroring_exchanges_sides():
    back = mirrored(one := look(), COCO17.flip_order)
    left, right = COCO17.joints.index("left_knee"), COCO17.joints.index("right_knee")
    np.testing.assert_allclose(
        back.joints_px[left, 0], [199, 0] + one.joints_px[right, 0] * [-1, 1]
    )


def test_two_equal_looks_are_one():
    one = look()
    for name in ("joints_px", "scores", "tags", "centers_px", "sizes_px", "seed_joints_px"):
        np.testing.assert_allclose(getattr(merged([one, one, one]), name), getattr(one, name))


def test_a_peak_moves_to_the_surer_look_and_is_halved_where_the_other_has_none():
    one = look()
    scores = one.scores.copy()
    scores[0] = [0.9, 0.6]
    one = replace(one, scores=scores)
    moved, weak = one.joints_px.copy(), scores.copy()
    moved[0, 0] += [4.0, 0]
    weak[0] = [0.3, 0.0]  # its second peak is none
    both = merged([one, replace(one, joints_px=moved, scores=weak)])
    np.testing.assert_allclose(both.joints_px[0, 0], one.joints_px[0, 0] + [1.0, 0])
    np.testing.assert_allclose(both.scores[0], [0.6, 0.3])
    np.testing.assert_allclose(both.tags, one.tags)


def test_candidates_of_a_network_without_centres():
    one = look()
    lone = replace(
        one,
        centers_px=np.full_like(one.centers_px, np.nan),
        sizes_px=np.full_like(one.sizes_px, np.nan),
        seeds_px=np.zeros((0, 2)),
        seed_scores=np.zeros(0),
        seed_joints_px=np.zeros((0, 17, 2)),
    )
    both = merged([lone, mirrored(mirrored(lone, COCO17.flip_order), COCO17.flip_order)])
    np.testing.assert_allclose(both.scores, lone.scores)
    assert np.isnan(both.centers_px).all()


@pytest.fixture(scope="module")
def finder():
    return OnnxPredictor(default_weights(), input_side=128)


def test_looking_at_a_mirror_image_gives_the_mirrored_answer(finder):
    """With mirroring, a picture and its mirror image differ by the mirror alone."""
    picture = sorted(shared("train/pennfudan").glob("images/*"))[0]
    image = np.asarray(cv2.imread(str(picture)), dtype=np.uint8)
    # A width that leaves no padding: the mirror image then has the same input, mirrored.
    image = np.asarray(cv2.resize(image, (256, 256)), dtype=np.uint8)
    twice = SeveralLooks([finder], mirror=True, settings=DecodeSettings())
    here = twice.candidates([image])[0]
    there = mirrored(twice.candidates([image[:, ::-1]])[0], COCO17.flip_order)
    sure = (here.scores[:, 0] > 0.3) & (there.scores[:, 0] > 0.3)
    apart = np.linalg.norm(here.joints_px[:, 0, None] - there.joints_px, axis=2).min(1)[sure]
    np.testing.assert_allclose(apart, 0, atol=1e-2)
    assert len(apart) > 5
    assert twice.input_side == 128
