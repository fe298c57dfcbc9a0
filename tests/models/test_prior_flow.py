"""The flows: exact inverses, exact determinants, densities that integrate to one."""

import pytest
import torch

from models.prior_coordinates import BoneCoordinates
from models.prior_flow import Flow, FlowConfig
from models.prior_frame import _STANDING
from models.prior_network import PoseFlow

FAMILIES = ["nice", "realnvp", "glow"]


def shaken(flow: Flow, scale: float, seed: int = 0) -> Flow:
    """Weights that are anything but the identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in flow.parameters():
            weights += scale * torch.randn(weights.shape, generator=generator)
    return flow.eval()


def poses(count: int, spread: float = 0.06, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    standing = torch.tensor(_STANDING, dtype=torch.float32).reshape(1, -1)
    return standing + spread * torch.randn(count, 51, generator=generator)


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back(family):
    flow = shaken(Flow(FlowConfig(family, layers=6, hidden=24)), 0.05)
    data = torch.randn(32, 51, generator=torch.Generator().manual_seed(1))
    seen = (torch.rand(32, 17, generator=torch.Generator().manual_seed(2)) > 0.3).float()
    wide = seen.repeat_interleave(3, 1)
    noise, _ = flow(data * wide, seen)
    assert (noise - data * wide).abs().max() > 0.1  # it does something
    assert (flow.inverse(noise, seen) - data * wide).abs().max() < 1e-5
    assert ((noise == 0) | (wide == 1)).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_determinant_is_that_of_the_jacobian(family):
    flow = shaken(Flow(FlowConfig(family, positions=5, layers=4, hidden=16)), 0.2).double()
    torch.manual_seed(3)
    for _ in range(3):
        seen = (torch.rand(1, 5, dtype=torch.float64) > 0.3).double()
        wide = seen.repeat_interleave(3, 1)[0].bool()
        row = torch.randn(15, dtype=torch.float64) * wide

        def one(values: torch.Tensor, seen: torch.Tensor = seen) -> torch.Tensor:
            return flow(values[None], seen)[0][0]

        jacobian = torch.autograd.functional.jacobian(one, row)
        _, expected = torch.linalg.slogdet(jacobian[wide][:, wide])
        assert flow(row[None], seen)[1].item() == pytest.approx(expected.item(), abs=1e-9)
        # What is unseen has no part in what is seen.
        assert jacobian[wide][:, ~wide].abs().sum() == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_density_integrates_to_one(family):
    config = FlowConfig(family, positions=2, channels=1, layers=4, hidden=8)
    flow = shaken(Flow(config), 0.25, seed=4)
    line = torch.linspace(-14, 14, 701)
    cell = (line[1] - line[0]).item()
    with torch.no_grad():
        grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
        density = flow.log_prob(grid, torch.ones(len(grid), 2)).exp()
        # A smooth density that vanishes at the rim: the rectangle rule is off by far less.
        assert density.sum().item() * cell**2 == pytest.approx(1, abs=2e-3)
        # With one of two unseen, over the other alone.
        row = torch.stack([line, torch.zeros_like(line)], 1)
        seen = torch.tensor([[1.0, 0.0]]).expand(len(line), 2)
        assert flow.log_prob(row, seen).exp().sum().item() * cell == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_flow_learns_what_a_gaussian_cannot(family):
    torch.manual_seed(0)
    angle = 2 * torch.pi * torch.rand(2048)
    ring = torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(2048, 2)
    config = FlowConfig(family, positions=2, channels=1, layers=6, hidden=32)
    flow, seen = Flow(config), torch.ones(2048, 2)
    flow.fit_scale(ring)
    start = -flow.log_prob(ring, seen).mean().item()  # the Gaussian it begins with
    optimizer = torch.optim.Adam(flow.parameters(), 5e-3)
    for _ in range(120):
        loss = -flow.log_prob(ring, seen).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < start - 0.2


def test_bones_there_and_back():
    coordinates = BoneCoordinates()
    rows = poses(256, 0.01)
    coordinates.fit(rows)
    ones = torch.ones(len(rows), 17)
    made, _ = coordinates(rows, ones)
    # Float32 loses up to 1e-5 of a unit direction near the antipode of its mean; none is there.
    assert (coordinates.inverse(made) - rows).abs().max() < 1e-5


def test_bones_determinant_is_that_of_the_jacobian():
    coordinates = BoneCoordinates()
    rows = poses(8)
    coordinates.fit(rows)
    torch.manual_seed(5)
    for row in rows[:4]:
        seen = (torch.rand(1, 17) > 0.25).float()
        wide = seen.repeat_interleave(3, 1)[0].bool()

        def one(values: torch.Tensor, seen: torch.Tensor = seen) -> torch.Tensor:
            return coordinates(values[None], seen)[0][0]

        jacobian = torch.autograd.functional.jacobian(one, row * wide)
        _, expected = torch.linalg.slogdet(jacobian[wide][:, wide].double())
        # Float32 Jacobians of about 40 columns: 1e-6 each.
        log_det = coordinates((row * wide)[None], seen)[1].item()
        assert log_det == pytest.approx(expected.item(), abs=1e-3)
        assert jacobian[wide][:, ~wide].abs().sum() == 0


def test_samples_are_what_the_density_says():
    network = PoseFlow(FlowConfig("glow", layers=2, hidden=8))
    rows = poses(512, 0.03)
    network.fit(rows)
    shaken(network.flow, 0.02)
    drawn = network.sample(64, torch.Generator().manual_seed(0))
    noise, _ = network.flow(network.coordinates(drawn, torch.ones(64, 17))[0], torch.ones(64, 17))
    again = network.coordinates.inverse(network.flow.inverse(noise, torch.ones(64, 17)))
    assert (again - drawn).abs().median() < 1e-5
    assert torch.isfinite(network(drawn, torch.ones(64, 17))).all()
