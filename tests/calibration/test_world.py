from __future__ import annotations

import numpy as np
import pytest

from calibration.camera import project
from calibration.errors import BadInput, UnknownCamera
from calibration.rig import Rig
from calibration.world import point_world, world_from_points

from .boards import ring

RIG = Rig("studio", "quad", "cam0", "reference", ring(np.random.default_rng(0)))


def _marks(point: list[float], cameras: tuple[int, ...]) -> dict[str, tuple[float, float]]:
    out = {}
    for index in cameras:
        x, y = project(RIG.cameras[index], np.array([point]))[0]
        out[RIG.cameras[index].name] = (float(x), float(y))
    return out


def test_three_marked_points_make_the_world() -> None:
    # In the true world (z up) the marks lie at height 0.2, x goes along its y.
    rig = world_from_points(
        RIG, _marks([0.1, 0, 0.2], (0, 1)), _marks([0.1, 0.5, 0.2], (0, 1, 2)),
        _marks([0.6, 0.1, 0.2], (1, 2)),
    )  # fmt: skip
    assert rig.world == "floor"
    for old, new in zip(RIG.cameras, rig.cameras, strict=True):
        x, y, z = old.center_world
        # Exact marks: what is left is undistortion, 1e-6 px.
        np.testing.assert_allclose(new.center_world, [y, 0.1 - x, z - 0.2], atol=1e-6)
    # The third point on the other side: cameras stay above the floor, the world is no mirror.
    other = world_from_points(
        RIG, _marks([0.1, 0, 0.2], (0, 1)), _marks([0.1, 0.5, 0.2], (0, 1)),
        _marks([-0.4, 0.1, 0.2], (1, 2)),
    )  # fmt: skip
    np.testing.assert_allclose(
        other.cameras[2].center_world, rig.cameras[2].center_world, atol=1e-6
    )
    assert np.linalg.det(other.cameras[0].cam_from_world[:3, :3]) == pytest.approx(1.0)


def test_marks_that_make_no_world() -> None:
    a, b = _marks([0, 0, 0], (0, 1)), _marks([0.5, 0, 0], (0, 1))
    with pytest.raises(BadInput, match="span no floor"):
        world_from_points(RIG, a, b, _marks([1.0, 0.0, 0.0], (0, 1)))
    with pytest.raises(BadInput, match=r"marked in 1 camera"):
        world_from_points(RIG, a, _marks([0.5, 0, 0], (0,)), b)
    with pytest.raises(UnknownCamera):
        world_from_points(RIG, {**a, "cam9": (1.0, 2.0)}, b, b)
    crossed = {"cam0": a["cam0"], "cam1": (a["cam1"][0] + 200.0, a["cam1"][1] + 200.0)}
    with pytest.raises(BadInput, match="pass each other"):
        point_world(RIG, crossed)
