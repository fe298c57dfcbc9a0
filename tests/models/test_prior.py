"""The packaged prior: what it calls plausible, its gradient, and joints placed with it."""

import numpy as np
import onnxruntime
import pytest
import torch

from models.errors import WeightsDamaged, WeightsMissing
from models.prior import PosePrior
from models.prior_flow import FlowConfig
from models.prior_frame import frame_of, from_frame, to_frame
from models.prior_map import most_likely
from models.prior_network import PoseFlow
from models.skeleton import COCO17
from models.training.motion_export import export_prior
from models.weights import default_weights
from tests.scenes import gait

from .shared import shared


@pytest.fixture(scope="module")
def prior() -> PosePrior:
    return PosePrior()


def walking(count: int = 12, noise_m: float = 0.006, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    phase = np.linspace(0, 2 * np.pi, count, endpoint=False)
    bodies = gait(phase, np.full(count, 0.8), np.ones(5))
    return bodies + rng.normal(0, noise_m, bodies.shape)


def test_frames_there_and_back_and_where_somebody_stands_does_not_matter(prior):
    bodies = walking()
    seen = np.ones(bodies.shape[:2], dtype=bool)
    frame = frame_of(bodies, seen)
    assert np.abs(from_frame(frame, to_frame(frame, bodies)) - bodies).max() < 1e-12
    cos, sin = np.cos(2.1), np.sin(2.1)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    moved = 0.8 * bodies @ turn.T + [3.0, -1.0, 0.4]
    # Float32 in the network: nats of some 100, so 1e-3.
    assert np.abs(prior.log_likelihood(moved) - prior.log_likelihood(bodies)).max() < 2e-2


def test_what_is_plausible(prior):
    bodies = walking()
    flip = list(COCO17.flip_order)
    legs = [11, 12, 13, 14, 15, 16]
    swapped = bodies.copy()
    swapped[:, legs] = bodies[:, [flip[joint] for joint in legs]]
    bent = bodies.copy()
    bent[:, 15] = bent[:, 13] + [0.42, 0, 0.02]  # a shin straight to the front of a leg that stands
    sound = prior.log_likelihood(bodies)
    assert prior.plausibility(bodies).min() > 0.5
    assert prior.plausibility(swapped).max() < 0.01
    # One limb of many: the whole stays likelier than a cartwheel, the joint is what stands out.
    assert (prior.log_likelihood(bent) < sound - 5).all()
    given, as_it_was = (prior.joint_log_likelihood(x)[:, 15] for x in (bent, bodies))
    assert (given < as_it_was - 5).all()


def test_a_joint_out_of_place_is_named(prior):
    bodies = walking()
    bodies[:, 9] += [0.0, 0.3, 0.25]
    named = prior.unlikely_joints(bodies)
    assert named[:, 9].mean() > 0.8
    assert named[:, [0, 11, 12, 13, 14, 15, 16]].mean() < 0.05


def test_missing_joints_are_left_out_and_little_says_nothing(prior):
    bodies = walking()
    bodies[:, [7, 9, 3]] = np.nan
    assert (prior.plausibility(bodies) > 0.02).all()
    bodies[:, 5:] = np.nan
    assert np.isnan(prior.plausibility(bodies)).all()
    assert np.isnan(prior.log_likelihood(bodies)).all()
    assert prior.plausibility(np.zeros((0, 17, 3))).shape == (0,)


def test_the_gradient_is_the_derivative(prior):
    bodies = walking(3)
    seen = np.ones(bodies.shape[:2], dtype=bool)
    seen[1, [2, 8]] = False
    poses = to_frame(frame_of(bodies, seen), bodies)
    value, gradient = prior.value_and_gradient(poses, seen)
    assert np.abs(value - prior.value(poses, seen)).max() < 1e-3
    assert (gradient[1, [2, 8]] == 0).all()
    rng = np.random.default_rng(0)
    for _ in range(5):
        step = rng.normal(size=poses.shape) * seen[..., None]
        ahead, back = (prior.value(poses + sign * 1e-3 * step, seen) for sign in (1, -1))
        expected = (ahead - back) / 2e-3
        # Curvatures are up to 1 / (10 mm)^2 and change over a millimetre: a few percent.
        slope = (gradient * step).sum(axis=(1, 2))
        assert slope == pytest.approx(expected, rel=0.05, abs=8.0)


def test_export_says_what_the_network_says(tmp_path):
    torch.manual_seed(0)
    network = PoseFlow(FlowConfig("glow", layers=2, hidden=8))
    bodies = walking(64)
    rooted = bodies - bodies[:, 11:13].mean(axis=1, keepdims=True)
    rows = torch.from_numpy(rooted.reshape(64, -1)).float()
    network.fit(rows)
    for weights in network.flow.parameters():
        weights.data += 0.02 * torch.randn_like(weights)
    export_prior(network, tmp_path / "small.onnx", {})
    session = onnxruntime.InferenceSession(str(tmp_path / "small.onnx"))
    for count in (1, 5):
        poses = rows[:count].clone().requires_grad_(True)
        seen = torch.ones(count, 17)
        seen[0, 3] = 0
        wanted = network(poses, seen)
        wanted.sum().backward()
        told = {"poses": poses.detach().numpy(), "seen": seen.numpy()}
        value, gradient = session.run(None, told | {"with_gradient": np.array(True)})
        scale = poses.grad.abs().max().item()
        assert np.abs(value - wanted.detach().numpy()).max() < 1e-3
        assert np.abs(gradient - poses.grad.numpy()).max() < 1e-4 * scale
        alone, _ = session.run(None, told | {"with_gradient": np.array(False)})
        assert np.array_equal(alone, value)


def test_weak_joints_come_nearer_and_the_others_stay(prior):
    truth = walking(16, noise_m=0.0)
    rng = np.random.default_rng(1)
    sigma = 0.03
    measured = truth + rng.normal(0, sigma, truth.shape)
    free = np.zeros(truth.shape[:2], dtype=bool)
    free[:, 5:] = True
    information = np.broadcast_to(np.eye(3) / sigma**2, (*truth.shape, 3))
    moved = most_likely(prior, measured, information, free)
    before, after = (np.linalg.norm(x - truth, axis=2) for x in (measured, moved))
    assert after[free].mean() < 0.9 * before[free].mean()
    assert np.array_equal(moved[~free], measured[~free])


def test_nothing_to_move(prior):
    bodies = walking(2)
    information = np.zeros((*bodies.shape, 3))
    none = np.zeros(bodies.shape[:2], dtype=bool)
    assert most_likely(prior, bodies, information, none) is bodies


def test_files_that_are_not_a_prior(tmp_path):
    with pytest.raises(WeightsMissing, match="check the path"):
        PosePrior(tmp_path / "none.onnx")
    with pytest.raises(WeightsDamaged, match="motion_card"):
        PosePrior(default_weights("quadglass-m"))
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(default_weights("prior").read_bytes()[:900])
    with pytest.raises(WeightsDamaged, match="export it again"):
        PosePrior(torn)


def test_real_motion_is_mostly_plausible(prior):
    from models.training.poses import FIRST_HELD_OUT_BODY, read_split, tracks_of

    clips = read_split(shared("train/motions"), "held_out")
    tracks = tracks_of(clips, (FIRST_HELD_OUT_BODY,))
    joints = np.concatenate([track.joints[::15] for track in tracks])
    joints += np.random.default_rng(0).normal(0, 0.01, joints.shape)
    share = prior.plausibility(joints)
    # Percentiles come from other clips, so only roughly level.
    assert 0.25 < np.median(share) < 0.85
    assert (share < 0.01).mean() < 0.15
