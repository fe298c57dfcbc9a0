"""The compiled loops of association and anatomy give what the plain definitions give."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.compiled import compiled
from capture import anatomy, associate, votes
from capture.anatomy import twins
from capture.associate import AssociateSettings, groups_of
from capture.observations import observe
from capture.people import Prediction
from capture.warmup import warm_up
from tests.scenes import Noise, detect, ring_rig, walkers

pytestmark = pytest.mark.skipif(not compiled(), reason="numba is not installed")
NOISE = Noise(3.0, 0.2, 0.05, swapped=0.1, missed_people=0.05, false_people=0.3)


@pytest.mark.parametrize(("people", "cameras"), [(1, 2), (4, 4), (6, 8)])
def test_same_groups(monkeypatch: pytest.MonkeyPatch, people: int, cameras: int) -> None:
    rig = ring_rig(cameras)
    truth = walkers(people, 1.0, 8, seed=3)
    rng, settings = np.random.default_rng(4), AssociateSettings()
    for bodies, views in zip(truth, detect(rig, truth, NOISE, seed=5), strict=True):
        seen = observe(rig, views.sightings)
        near = bodies + rng.normal(0, 0.05, bodies.shape)
        near[0, 3:5] = np.nan
        tracks = [Prediction(i, at, np.full(17, 0.05)) for i, at in enumerate(near)]
        told = []
        for quick in (True, False):
            for module in (associate, votes):
                monkeypatch.setattr(module, "compiled", lambda quick=quick: quick)
            rays = votes.SightingRays.of(seen, settings)
            pairs = votes.between_views(seen, rays, settings)
            pairs[seen.view[:, None] == seen.view] = -np.inf
            to_tracks = votes.to_tracks(rays, tracks, settings)
            told.append((pairs, to_tracks, groups_of(seen, settings, tracks)))
        # Sums of up to 17 joints in another order.
        assert told[0][0] == pytest.approx(told[1][0], abs=1e-9)
        assert told[0][1] == pytest.approx(told[1][1], abs=1e-9)
        for one, other in zip(told[0][2].members, told[1][2].members, strict=True):
            assert (one == other).all()
        assert told[0][2].tracks == told[1][2].tracks


def test_contraction_breaks_ties_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    for size in (1, 2, 7, 30):
        total = rng.integers(-3, 4, (size, size)).astype(np.float64)  # many equal values
        total = total + total.T
        total[rng.random((size, size)) < 0.2] = -np.inf
        total = np.minimum(total, total.T)
        np.fill_diagonal(total, -np.inf)
        assert (associate._contracted(total) == associate._contract(total)).all()
    monkeypatch.setattr(associate, "compiled", lambda: False)
    assert (associate._contracted(total) == associate._contract(total)).all()


def test_same_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = walkers(3, 0.1, 30, seed=7)[0]
    rng = np.random.default_rng(8)
    copies = np.concatenate([bodies, bodies + rng.normal(0, 0.02, bodies.shape)])
    copies[4] = anatomy.mirrored(copies[4])
    copies[rng.random(copies.shape[:2]) < 0.3] = np.nan
    copies[5, 3:] = np.nan  # too few joints to judge by
    told = []
    for quick in (True, False):
        monkeypatch.setattr(anatomy, "compiled", lambda quick=quick: quick)
        told.append(twins(copies))
    assert told[0] == told[1] == [(0, 3, True), (1, 4, False)]


def test_warm_up_leaves_nothing_to_compile() -> None:
    assert warm_up() >= 0
    from calibration import rays_numba, triangulate_numba
    from capture import anatomy_numba, associate_numba

    loops = [triangulate_numba.solve, rays_numba.reproject, anatomy_numba.median_distances]
    loops += [getattr(associate_numba, name) for name in associate_numba.__all__]
    made = {loop: len(loop.signatures) for loop in loops}
    assert all(made.values())
    rig = ring_rig(4)
    truth = walkers(4, 0.5, 8, seed=9)
    from capture.frame import people_in_frame
    from capture.track import Tracker

    tracker = Tracker()
    for frame, views in enumerate(detect(rig, truth, NOISE, seed=10)):
        found = people_in_frame(rig, views.sightings, None, tracker.predict(frame))
        tracker.update(found.people, frame)
    assert {loop: len(loop.signatures) for loop in loops} == made
