"""The completer: solvers, the Gaussian it starts from, and what it fills in."""

import numpy as np
import pytest
import torch

from models.completer import Completer, SampleSettings, integrate
from models.completer_network import CompleterConfig, VelocityField, own_drift
from models.completer_window import (
    DIMS,
    MIDDLE,
    OFFSETS,
    REACH,
    WindowGaussian,
    fit_window,
    surroundings,
)
from models.errors import WeightsDamaged
from models.training.motion_export import export_completer
from models.weights import default_weights
from tests.scenes import gait

RATE = 30


@pytest.fixture(scope="module")
def completer() -> Completer:
    return Completer()


def walk(bodies: int = 3, seed: int = 0) -> np.ndarray:
    """(B, L, 17, 3) people who walk forward, in the middle of a step each."""
    rng = np.random.default_rng(seed)
    time = np.arange(-REACH, REACH + 1) / RATE
    made = []
    for _ in range(bodies):
        phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * 0.9 * time
        body = gait(phase, np.full(len(time), 0.9), np.ones(5))
        body[..., 0] += 1.2 * time[:, None]
        made.append(body)
    return np.stack(made)


@pytest.mark.parametrize(
    ("solver", "steps", "bound"), [("euler", 200, 5e-3), ("heun", 40, 3e-4), ("adaptive", 1, 2e-2)]
)
def test_solvers_follow_a_known_flow(solver, steps, bound):
    # dx/dt = -2 t x has x(1) = x(0) / e; Euler's error falls with the step, Heun's with its square.
    start = np.array([[1.0, -2.0, 0.5]])
    settings = SampleSettings(solver=solver, steps=steps, tolerance=1e-3)
    end = integrate(lambda place, time: -2 * time * place, start, settings)
    assert np.abs(end - start / np.e).max() < bound


def test_a_gaussian_flows_to_itself():
    # With a network that says nothing the draws end where they began: the conditional Gaussian.
    start = np.random.default_rng(0).normal(size=(1, 200))

    def drift(place: np.ndarray, time: float) -> np.ndarray:
        return float(own_drift(torch.tensor(time))) * place

    end = integrate(drift, start, SampleSettings(solver="heun", steps=64))
    assert np.abs(end - start).max() < 2e-3


def test_conditioning_is_that_of_the_whole_covariance():
    rng = np.random.default_rng(1)
    columns = len(OFFSETS) * DIMS
    mixing = rng.normal(size=(columns, 40)) * 0.05
    windows = rng.normal(size=(3000, 40)) @ mixing.T
    noise = 0.01
    gaussian = fit_window(windows, noise)
    seen = rng.random((1, len(OFFSETS), 17)) > 0.2
    window = windows[:1].reshape(1, len(OFFSETS), 17, 3) + rng.normal(0, noise, (1, 9, 17, 3))
    given = gaussian.condition(np.where(seen[..., None], window, np.nan), seen)
    known = np.repeat(seen.reshape(-1), 3)
    clean = np.cov(windows.T)
    measured = clean + noise**2 * np.eye(columns)
    middle = np.arange(MIDDLE * DIMS, (MIDDLE + 1) * DIMS)
    hidden = middle[~known[middle]]
    gain = np.linalg.solve(measured[np.ix_(known, known)], clean[np.ix_(known, hidden)]).T
    mean = gaussian.mean[hidden] + gain @ (window.reshape(-1)[known] - gaussian.mean[known])
    covariance = clean[np.ix_(hidden, hidden)] - gain @ clean[np.ix_(known, hidden)]
    assert np.abs(given.filled[0, hidden] - mean).max() < 1e-6
    own = given.root[0] @ given.root[0].T
    columns_hidden = hidden - MIDDLE * DIMS
    # 1e-6 square metres are added so that a root exists.
    found = own[np.ix_(columns_hidden, columns_hidden)] - 1e-6 * np.eye(len(hidden))
    assert np.abs(found - covariance).max() < 1e-7
    assert (own[:, known[middle]] == 0).all()


def test_surroundings_of_a_gap():
    stretch = walk(1)
    gap = slice(REACH - 4, REACH + 7)
    stretch[0, gap, 9] = np.nan
    around = surroundings(stretch)
    assert not around.seen[0, MIDDLE, 9]
    assert around.seen[0, MIDDLE].sum() == 16
    assert around.nearness[0, :, 9].tolist() == [1 / 5, 1 / 7]
    assert (np.delete(around.nearness[0], 9, axis=1) == 0).all()
    # Walking straight on, the body's frame is the same apart from where it stands.
    place = around.places[0, 0, 9]
    shoulder = stretch[0, REACH - 5, 5] - stretch[0, REACH - 5, 9]
    assert np.linalg.norm(place) < 1.2
    assert np.linalg.norm(shoulder) < 0.7
    assert np.isfinite(around.between()[0, 9]).all()
    assert np.isnan(around.between()[0, 3]).all()


def test_what_was_seen_stays_and_what_was_not_is_near_with_an_honest_sigma(completer):
    truth = walk(6)
    shown = truth + np.random.default_rng(2).normal(0, 0.008, truth.shape)
    shown[:, REACH - 7 : REACH + 8, [7, 9]] = np.nan  # the left arm, for half a second
    made = completer.complete(shown)
    hidden = np.zeros(17, dtype=bool)
    hidden[[7, 9]] = True
    middle = truth[:, REACH]
    assert np.array_equal(made.joints[:, ~hidden], shown[:, REACH, ~hidden])
    assert np.isnan(made.sigma_m[:, ~hidden]).all()
    off = np.linalg.norm(made.joints - middle, axis=2)[:, hidden]
    assert off.mean() < 0.15  # an arm that swings 0.5 m
    sigma = made.sigma_m[:, hidden]
    assert (sigma > 0.003).all()
    assert off.mean() < 3 * np.sqrt(3) * sigma.mean()
    assert made.samples.shape == (6, 16, 17, 3)


def test_the_same_twice_and_no_future(completer):
    shown = walk(2)
    shown[:, REACH:, [13, 15]] = np.nan
    shown[:, REACH + 1 :] = np.nan
    one, two = completer.complete(shown), completer.complete(shown)
    assert np.array_equal(one.joints, two.joints)
    assert np.isfinite(one.joints).all()


def test_export_says_what_the_network_says(tmp_path):
    torch.manual_seed(0)
    network = VelocityField(CompleterConfig(hidden=16, blocks=1))
    for weights in network.parameters():
        weights.data += 0.1 * torch.randn_like(weights)
    network.eval()
    columns = len(OFFSETS) * DIMS
    rng = np.random.default_rng(0)
    root = rng.normal(size=(columns, columns)) / 20
    gaussian = WindowGaussian(rng.normal(size=columns), root @ root.T + np.eye(columns), 0.01)
    figures = '{"noise_m": 0.01, "widening": 1.0}'
    path = tmp_path / "small.onnx"
    metadata = {"format": "quadglass-completer/1", "figures": figures}
    export_completer(network, gaussian, path, metadata)
    opened = Completer(path)
    assert np.abs(opened.gaussian.precision - gaussian.precision).max() < 1e-6
    assert np.abs(opened.gaussian.mean - gaussian.mean).max() < 1e-6
    session = opened._session
    told = {one.name: torch.rand(5, one.shape[1]) for one in session.get_inputs()}
    (said,) = session.run(("velocity",), {name: row.numpy() for name, row in told.items()})
    assert np.abs(said - network(**told).detach().numpy()).max() < 1e-5


def test_another_model_is_refused():
    with pytest.raises(WeightsDamaged, match="quadglass-completer"):
        Completer(default_weights("prior"))
