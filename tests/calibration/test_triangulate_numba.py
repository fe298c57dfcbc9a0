"""The compiled loop gives what the plain definition gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration import triangulate as module
from calibration.camera import Camera
from calibration.compiled import compiled
from calibration.triangulate import TriangulateSettings, Triangulation, triangulate
from tests.scenes import Noise, detect, ring_rig, walkers

needs_numba = pytest.mark.skipif(not compiled(), reason="numba is not installed")
FISHEYE = np.array([0.02, -0.01, 0.0, 0.0])
RATIONAL = np.array([0.3, -0.1, 1e-3, -2e-3, 0.02, 0.35, -0.05, 0.01])


def both_ways(
    monkeypatch: pytest.MonkeyPatch, cameras: tuple[Camera, ...], frame: int
) -> tuple[Triangulation, Triangulation]:
    """A crowd with many contradictions between its views, compiled and plain."""
    rig = replace(ring_rig(len(cameras)), cameras=cameras)
    truth = walkers(4, 1.0, 30, seed=1)[frame : frame + 1]
    noise = Noise(outliers=0.2, swapped=0.1, missed=0.3)
    seen = detect(rig, truth, noise, seed=frame)[0]
    pixels = np.full((len(cameras), 4, 17, 2), np.nan)
    scores = np.zeros((len(cameras), 4, 17))
    for view, name in enumerate(rig.names):
        for sighting, owner in zip(seen.sightings[name], seen.owners[name], strict=True):
            pixels[view, owner], scores[view, owner] = sighting.joints_px, sighting.scores
    results = []
    for quick in (True, False):
        monkeypatch.setattr(module, "compiled", lambda quick=quick: quick)
        results.append(
            triangulate(
                rig.cameras,
                pixels.reshape(len(cameras), -1, 2),
                scores.reshape(len(cameras), -1),
                TriangulateSettings(steps=2),
                groups=np.repeat(np.arange(4), 17),
            )
        )
    return results[0], results[1]


@needs_numba
@pytest.mark.parametrize("views", [2, 3, 4, 5, 8, 12])
@pytest.mark.parametrize("lens", ["pinhole", "rational", "fisheye"])
def test_same_points_sigmas_and_reasons(
    monkeypatch: pytest.MonkeyPatch, views: int, lens: str
) -> None:
    cameras = ring_rig(views).cameras
    if lens == "fisheye":
        cameras = tuple(replace(camera, model="fisheye", dist=FISHEYE) for camera in cameras)
    elif lens == "rational":
        cameras = tuple(replace(camera, dist=RATIONAL) for camera in cameras)
    for frame in range(0, 30, 6):
        quick, plain = both_ways(monkeypatch, cameras, frame)
        for mask in ("used", "dropped", "reason"):
            assert (getattr(quick, mask) == getattr(plain, mask)).all(), mask
        # The order of sums is all that differs: 1e-16 of some metres, times what the inverse of
        # the normal matrix amplifies (rays 3 degrees apart: 1e3).
        for values in ("points", "sigma_m", "reprojection_px"):
            assert getattr(quick, values) == pytest.approx(
                getattr(plain, values), abs=1e-9, nan_ok=True
            ), values
    assert (quick.reason == 3).any() or views > 4  # contradictions were among them


def test_without_numba_the_definition_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled.cache_clear()
    monkeypatch.setenv("KERNELS_NUMBA", "0")
    assert not compiled()
    compiled.cache_clear()
