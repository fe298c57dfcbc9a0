"""The page's own projection against the service's, camera by camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.camera import Camera, Source, frame_from_calibrated, project

from .conftest import Open
from .film import RIG

# Pixels: the page computes in doubles as OpenCV does, and JSON keeps every digit.
TOLERANCE_PX = 1e-6
WIDE = np.array([-0.11, 0.06, 0.0008, -0.0005, 0.01])


def _cameras() -> dict[str, Camera]:
    first = RIG.cameras[0]
    return {
        "pinhole": replace(first, dist=WIDE),
        "cut and scaled": replace(first, source=Source(scale=1.0074, offset_px=(3.0, -7.2))),
        "fisheye": replace(first, model="fisheye", dist=np.array([0.05, -0.01, 0.002, -0.0004])),
    }


@pytest.mark.parametrize("kind", ["pinhole", "cut and scaled", "fisheye"])
def test_pixels_of_points_are_the_services(open_page: Open, kind: str) -> None:
    camera = _cameras()[kind]
    points = np.random.default_rng(3).uniform([-1.5, -1.5, 0], [1.5, 1.5, 2], (40, 3))
    page = open_page("/system")
    found = page.evaluate(
        """async ([rig, points]) => {
            const {camerasOf, project} = await import("/static/cameras.js");
            const [camera] = camerasOf(rig);
            return points.map((point) => project(camera, point));
        }""",
        [{"cameras": [_as_json(camera)]}, points.tolist()],
    )
    expected = frame_from_calibrated(camera, project(camera, points))
    np.testing.assert_allclose(np.array(found), expected, atol=TOLERANCE_PX)


def _as_json(camera: Camera) -> dict[str, object]:
    return {
        "name": camera.name,
        "size_px": list(camera.size_px),
        "frame_size_px": list(camera.frame_size_px),
        "source": {"scale": camera.source.scale, "offset_px": list(camera.source.offset_px)},
        "model": camera.model,
        "K": camera.K.tolist(),
        "distortion": camera.dist.tolist(),
        "R": camera.cam_from_world[:3, :3].tolist(),
        "t": camera.cam_from_world[:3, 3].tolist(),
        "center": camera.center_world.tolist(),
        "rms_px": None,
    }
