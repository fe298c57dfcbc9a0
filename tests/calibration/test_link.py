from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.camera import Camera
from calibration.errors import BadInput, Unconnected
from calibration.link import link_rigs
from calibration.rig import Rig
from calibration.rig_file import rig_from_yaml, rig_to_yaml
from calibration.transforms import angle_rad, inverse, rotation_from_vector, transform
from calibration.views import View

from .boards import board_moments, make_world, ring, stereo_pair

BOARD = make_world(0, moments=1, close=0).board
OTHER_FROM_THIS = transform(
    rotation_from_vector(np.array([0.4, -0.2, 1.0])), np.array([2.0, -1.0, 0.3])
)


def _rigs(moments: int) -> tuple[Rig, Rig, list[View]]:
    """A ring of four, a pair in a world of its own, and boards that both see."""
    rng = np.random.default_rng(4)
    four, two = ring(rng), stereo_pair(rng)
    views: list[View] = []
    while len({view.moment for view in views}) < moments:
        seen = board_moments(rng, (four[2], *two, four[1]), BOARD, 1, 0.2, volume_m=0.5)
        cameras = {view.camera for view in seen}
        if cameras & {"left", "right"} and cameras - {"left", "right"}:
            name = f"m{len({view.moment for view in views}):03d}"
            views += [replace(view, moment=name) for view in seen]
    moved: list[Camera] = [
        replace(camera, cam_from_world=camera.cam_from_world @ inverse(OTHER_FROM_THIS))
        for camera in two
    ]
    this = Rig("studio", "quad", "cam0", "floor", four)
    return this, Rig("pair", "stereo", "left", "reference", tuple(moved)), views


def _errors(this_from_other: np.ndarray) -> tuple[float, float]:
    off = this_from_other @ OTHER_FROM_THIS
    return float(np.degrees(angle_rad(off[:3, :3]))), float(np.linalg.norm(off[:3, 3]))


def test_a_pair_is_linked_to_a_ring_by_few_moments() -> None:
    this, other, views = _rigs(6)
    link = link_rigs(this, other, views, BOARD)
    turn_deg, shift_m = _errors(link.this_from_other)
    # A board of 0.64 m at 3 m with corners of 0.2 px is known to 0.04 degrees; by six of them, and
    # 3 m away from the origin that is 2 mm: four of those.
    assert turn_deg < 0.1
    assert shift_m < 0.008
    # Two coordinates of 0.2 px.
    assert link.rms_px == pytest.approx(0.2 * np.sqrt(2), rel=0.15)
    again = rig_from_yaml(rig_to_yaml(replace(this, links=(link,))))
    np.testing.assert_array_equal(again.links[0].this_from_other, link.this_from_other)


def test_a_spoiled_moment_does_not_pull() -> None:
    this, other, views = _rigs(8)
    spoiled = [
        replace(v, corners_px=v.corners_px + 25.0)
        if v.moment == "m002" and v.camera in other.names
        else v
        for v in views
    ]
    turn_deg, shift_m = _errors(link_rigs(this, other, spoiled, BOARD).this_from_other)
    assert turn_deg < 0.12
    assert shift_m < 0.01


def test_what_cannot_be_linked() -> None:
    this, other, views = _rigs(3)
    with pytest.raises(Unconnected, match="1 moments"):
        link_rigs(this, other, [v for v in views if v.moment == "m000"], BOARD)
    with pytest.raises(BadInput, match="cam0, cam1"):
        link_rigs(this, this, views, BOARD)
