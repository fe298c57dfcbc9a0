import json
from pathlib import Path

import numpy as np
import pytest

from models import skeleton
from models.skeleton import BODY_25, BODY_25B, COCO17, HALPE_26, LAYOUTS, from_coco17, to_coco17

NAMES = Path(__file__).parents[2] / "../shared/data/pose2sim-balancing/pose2d/body25b_names.json"


def test_names_are_public():
    for name in skeleton.__all__:
        assert hasattr(skeleton, name)


def test_mirror_swaps_left_and_right_and_nothing_else():
    for joint, other in enumerate(COCO17.flip_order):
        expected = COCO17.joints[joint]
        swapped = expected.replace("left", "*").replace("right", "left").replace("*", "right")
        assert COCO17.joints[other] == swapped


def test_torso_out_takes_every_joint_once_and_shoulders_and_hips_first():
    assert sorted(skeleton.TORSO_OUT) == list(range(17))
    first = {COCO17.joints[joint].split("_")[1] for joint in skeleton.TORSO_OUT[:4]}
    assert first == {"shoulder", "hip"}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_layout_maps_joints_of_the_same_name(layout):
    assert tuple(layout.joints[index] for index in layout.coco17) == COCO17.joints
    assert len(set(layout.joints)) == len(layout.joints)


def test_body_25b_agrees_with_the_names_beside_real_files():
    if not NAMES.is_file():
        pytest.skip("../shared/data/pose2sim-balancing is not here")
    index_by_name = json.loads(NAMES.read_text())["index_by_name"]
    ours = {name: index for index, name in enumerate(BODY_25B.joints)}
    for theirs, name in (
        ("RHip", "right_hip"),
        ("LBigToe", "left_big_toe"),
        ("RSmallToe", "right_small_toe"),
        ("RHeel", "right_heel"),
        ("Neck", "neck"),
        ("Head", "head"),
        ("LWrist", "left_wrist"),
    ):
        assert index_by_name[theirs] == ours[name]


@pytest.mark.parametrize("layout", [BODY_25, BODY_25B, HALPE_26], ids=lambda one: one.name)
def test_out_and_in_again_is_the_same(layout):
    points = np.arange(34, dtype=np.float64).reshape(17, 2)
    view = from_coco17(layout, points)
    np.testing.assert_array_equal(to_coco17(layout, view), points)
    neck = view[layout.joints.index("neck")]
    np.testing.assert_array_equal(neck, (points[5] + points[6]) / 2)
    assert np.isnan(view[layout.joints.index("left_heel")]).all()


def test_a_file_in_another_layout_is_refused():
    with pytest.raises(ValueError, match="body25 has 25 points, the file has 17"):
        to_coco17(BODY_25, np.zeros((17, 3)))
