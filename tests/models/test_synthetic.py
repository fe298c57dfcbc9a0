import numpy as np
import pytest

from models.errors import BadTrainingData
from models.training.motions import read_motions, swing

from .shared import shared

pytest.importorskip("numba", reason="rendering needs numba")

from models.training.body import DressedPerson
from models.training.render import blank_canvas, draw_person
from models.training.synthetic import _Camera

BVH = """HIERARCHY
ROOT hip
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT chest { OFFSET 0 4 0 CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT neck { OFFSET 0 4 0 CHANNELS 3 Zrotation Xrotation Yrotation
   JOINT head { OFFSET 0 2 0.6 CHANNELS 3 Zrotation Xrotation Yrotation
    End Site { OFFSET 0 2 0 } }
   LIMBS_ARMS } }
 LIMBS_LEGS
}
MOTION
Frames: 1
Frame Time: 0.1
"""


def limb(names, x, drop):
    """A chain of joints one below the other."""
    text = ""
    for index, name in enumerate(names):
        y = drop if index else 0
        text += f"JOINT {name} {{ OFFSET {x if not index else 0} {-y} 0 "
        text += "CHANNELS 3 Zrotation Xrotation Yrotation "
    return text + "End Site { OFFSET 0 -1 0 } " + "} " * len(names)


def bvh_file(turn_hip_deg):
    arms = limb(["lShldr", "lForeArm", "lHand"], 2, 3) + limb(
        ["rShldr", "rForeArm", "rHand"], -2, 3
    )
    legs = limb(["lThigh", "lShin", "lFoot"], 1, 4) + limb(["rThigh", "rShin", "rFoot"], -1, 4)
    text = BVH.replace("LIMBS_ARMS", arms).replace("LIMBS_LEGS", legs)
    # Columns: root 6, chest, neck, head 3 each, two arms and two legs of 9 each.
    values = np.zeros(6 + 9 + 36)
    values[6 + 9 + 18 + 1] = turn_hip_deg  # the left thigh about x
    return text + " ".join(str(value) for value in values) + "\n"


def test_swing_by_hand():
    quarter = swing(np.asarray([1.0, 0, 0]), np.asarray([0, 2.0, 0]))
    np.testing.assert_allclose(quarter, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(swing(np.eye(3)[2], np.eye(3)[2]), np.eye(3))
    half = swing(np.eye(3)[0], -np.eye(3)[0])
    np.testing.assert_allclose(half @ np.eye(3)[0], -np.eye(3)[0], atol=1e-12)
    assert np.linalg.det(half) == pytest.approx(1)


def test_a_standing_bvh(tmp_path):
    (tmp_path / "stand.bvh").write_text(bvh_file(0))
    (pose,) = read_motions(tmp_path)
    np.testing.assert_allclose(pose.pelvis, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(pose.chest, np.eye(3), atol=1e-12)
    for name in ("LeftUpLeg", "LeftLeg", "RightArm", "RightForeArm"):
        np.testing.assert_allclose(pose.bones[name], (0, 0, -1), atol=1e-12)


def test_a_thigh_raised_to_the_front_of_a_bvh_points_forward(tmp_path):
    # In the file x is left, y up, z forward: turning "down" by -90 degrees about x gives +z,
    # which is -y here.
    (tmp_path / "raise.bvh").write_text(bvh_file(-90))
    (pose,) = read_motions(tmp_path)
    np.testing.assert_allclose(pose.bones["LeftUpLeg"], (0, -1, 0), atol=1e-12)
    np.testing.assert_allclose(pose.bones["RightUpLeg"], (0, 0, -1), atol=1e-12)


def test_shared_motions_are_upright_more_often_than_not():
    poses = read_motions(shared("train/motions/deepmimic"))
    assert len(poses) > 300
    upright = np.mean([pose.chest[2, 2] > 0.5 for pose in poses])
    assert upright > 0.6
    for pose in poses[::50]:
        np.testing.assert_allclose(pose.pelvis @ pose.pelvis.T, np.eye(3), atol=1e-9)
        assert all(np.linalg.norm(bone) == pytest.approx(1) for bone in pose.bones.values())


def test_no_motion_is_an_error(tmp_path):
    with pytest.raises(BadTrainingData, match="no motion"):
        read_motions(tmp_path)


def triangle(depth, color):
    """A triangle facing the camera, and where its corners fall in 32 px."""
    corners = np.asarray([[-1, -1, depth], [-1, 1, depth], [1, -1, depth]], dtype=np.float32)
    places = np.asarray([[4, 4], [4, 28], [28, 4]], dtype=np.float32)
    paint = np.tile(np.asarray(color, dtype=np.float32), (3, 1))
    nothing = np.zeros(3, dtype=np.float32)
    person = DressedPerson(corners, corners, paint, nothing, np.zeros((3, 2), np.float32))
    return person, corners, places


@pytest.mark.parametrize("order", [(2.0, 5.0), (5.0, 2.0)])
def test_who_is_nearer_hides_who_is_farther(order):
    canvas = blank_canvas(32)
    faces = np.asarray([[0, 1, 2]], dtype=np.int32)
    texture = np.zeros((4, 4, 3), dtype=np.uint8)
    light = np.asarray([0, 0, -1], dtype=np.float32)
    for number, depth in enumerate(order, start=1):
        person, corners, places = triangle(depth, (100, 50 * number, 0))
        covered = draw_person(canvas, person, faces, corners, places, texture, light, 1.0, number)
        # Half of a square of 24 px; those of the 75 pixels on its edges that rounding lets in.
        assert 23 * 22 // 2 <= covered <= 25 * 26 // 2
    nearer = order.index(2.0) + 1
    assert canvas.owner[10, 10] == nearer
    assert canvas.owner[30, 30] == 0
    assert canvas.depth[10, 10] == pytest.approx(2)
    np.testing.assert_allclose(canvas.colors[10, 10], (100, 50 * nearer, 0))


def test_the_camera_looks_at_the_hips():
    camera = _Camera(focal_px=400, pitch=0.3, height_m=2.0, distance_m=4.0, side=200)
    seen, places = camera.see(np.asarray([[0, 4.0, 0.9], [1.0, 4.0, 0.9], [0, 4.0, 1.9]]))
    np.testing.assert_allclose(places[0], (99.5, 99.5), atol=1e-3)
    assert places[1, 0] > 99.5  # the world's x is the picture's right
    assert places[2, 1] < 99.5  # up is up
    # Distances survive a rotation.
    np.testing.assert_allclose(np.linalg.norm(seen[1] - seen[0]), 1, atol=1e-6)
