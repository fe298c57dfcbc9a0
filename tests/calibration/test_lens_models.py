"""Wide lenses of every model, and lenses of which a part is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from calibration.board import parse_board
from calibration.calibrate import CalibrateSettings, Calibration, calibrate_views
from calibration.camera import F64, Camera, project
from calibration.errors import BadInput
from calibration.footage import Clip, Footage
from calibration.lens_choice import parse_fixed, parse_models
from calibration.projection import LensModel, names_of, pack, project_with_derivatives
from calibration.rig_file import rig_from_yaml, rig_to_yaml
from calibration.transforms import inverse
from calibration.triangulate import triangulate
from calibration.views import View

from .boards import World, board_moments, facing, make_world, ring, see

# 1920 px over 150 degrees, and a pinhole lens of 100 degrees with strong distortion.
WIDE: dict[LensModel, tuple[float, list[float]]] = {
    "fisheye": (730.0, [0.03, -0.012, 0.004, -0.0007]),
    "pinhole8": (800.0, [0.35, 0.05, 5e-4, -3e-4, 0.003, 0.6, 0.12, 0.01]),
}
# How far off the axis close-ups are held.
OFF_AXIS_DEG: dict[LensModel, float] = {"fisheye": 70.0, "pinhole8": 50.0}


def wide_world(seed: int, models: tuple[LensModel, ...], close: int = 20) -> World:
    """A ring of four wide cameras, close-ups out to the rim of their pictures."""
    rng = np.random.default_rng(seed)
    board = parse_board("9x6", 60.0)
    cameras = tuple(
        _wide(rng, camera, model) for camera, model in zip(ring(rng), models, strict=True)
    )
    views = board_moments(rng, cameras, board, 24, 0.2)
    for camera, model in zip(cameras, models, strict=True):
        for count in range(close):
            views.append(_closeup(rng, World(cameras, board, (), {}), camera, model, count))
    return World(cameras, board, tuple(views), {})


def _wide(rng: np.random.Generator, camera: Camera, model: LensModel) -> Camera:
    focal, dist = WIDE[model]
    K = camera.K.copy()
    K[0, 0] = K[1, 1] = focal + rng.uniform(-10, 10)
    kind = "fisheye" if model == "fisheye" else "pinhole"
    return replace(camera, K=K, dist=np.array(dist), model=kind)  # type: ignore[arg-type]


def _closeup(
    rng: np.random.Generator, world: World, camera: Camera, model: LensModel, count: int
) -> View:
    while True:
        off = np.radians(rng.uniform(0, OFF_AXIS_DEG[model]))
        around = rng.uniform(0, 2 * np.pi)
        spot = np.array(
            [np.sin(off) * np.cos(around), 0.6 * np.sin(off) * np.sin(around), np.cos(off)]
        )
        spot *= rng.uniform(0.5, 1.2) / np.linalg.norm(spot)
        world_from_cam = inverse(camera.cam_from_world)
        center = world_from_cam[:3, :3] @ spot + world_from_cam[:3, 3]
        pose = facing(rng, world.board, center, camera.center_world, 0.5)
        corners = see(rng, camera, world.board, pose, 0.2)
        if corners is not None:
            return View(camera.name, f"c{count:03d}", corners, np.arange(len(corners)), False)


def _calibrated(world: World, **options: object) -> Calibration:
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    settings = CalibrateSettings(**options)  # type: ignore[arg-type]
    return calibrate_views(world.sightings, footage, world.board, settings)


def _off_in_sigmas(world: World, result: Calibration) -> F64:
    """Every lens number, and every camera's centre and direction, over its predicted sigma."""
    out = []
    for camera in world.cameras:
        found = result.rig.camera(camera.name)
        sigma: Mapping[str, float] = result.report["cameras"][camera.name]["sigma"]
        names = names_of(result.report["cameras"][camera.name]["model"])
        if len(names) == 12:
            # Numerator and denominator share what a rational lens does: alone they are not normal.
            names = tuple(name for name in names if not name.startswith("k"))
        model = result.report["cameras"][camera.name]["model"]
        ours, truth = (
            dict(zip(names_of(model), pack(c.K, c.dist), strict=False)) for c in (found, camera)
        )
        out += [(ours[name] - truth[name]) / sigma[name] for name in names if sigma[name] > 0]
        true = world.true_cam_from_reference(camera.name)
        if sigma["t_x"] > 0:
            R = found.cam_from_world[:3, :3] @ true[:3, :3].T
            turn = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]) / 2
            move = found.cam_from_world[:3, 3] - true[:3, 3]
            out += list(turn / [sigma[f"rot_{axis}"] for axis in "xyz"])
            out += list(move / [sigma[f"t_{axis}"] for axis in "xyz"])
    return np.array(out)


def _pixels_in_sigmas(world: World, result: Calibration, model: LensModel) -> F64:
    """How far pixels of given directions are off, over what the covariance says."""
    angle = np.radians(np.linspace(2, OFF_AXIS_DEG[model] - 5, 6))[:, None]
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    down = np.broadcast_to(np.cos(angle), (6, 12))
    rays = np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), down], -1)
    covariance = np.asarray(result.report["covariance"]["matrix"])
    size = len(covariance) // len(world.cameras)
    lens = len(names_of(model))
    out = []
    for index, camera in enumerate(world.cameras):
        found = result.rig.camera(camera.name)
        numbers = pack(camera.K, camera.dist)
        true, _, J = project_with_derivatives(rays.reshape(-1, 3), numbers, model)
        inside = (true > 0).all(axis=1) & (true < np.array(camera.size_px)).all(axis=1)
        ours, _, _ = project_with_derivatives(rays.reshape(-1, 3), pack(found.K, found.dist), model)
        own = covariance[index * size :, index * size :][:lens, :lens]
        J = J[inside][..., :lens]
        sigma = np.sqrt(np.einsum("nij,jk,nik->ni", J, own, J))
        out.append(((ours - true)[inside] / sigma).ravel())
    return np.concatenate(out)


@pytest.mark.parametrize("model", ["fisheye", "pinhole8"])
def test_a_wide_lens_is_recovered_within_its_sigma(model: LensModel) -> None:
    world = wide_world(0, (model,) * 4)
    names = [camera.name for camera in world.cameras]
    result = _calibrated(world, models=dict.fromkeys(names, model))
    off = _off_in_sigmas(world, result)
    # Some 60 values that hang together in groups: the spread of 30 normal ones is 1 +- 0.13, four
    # of those; the largest of 60 passes 4.5 once in two thousand times.
    assert 0.48 < off.std() < 1.52
    assert np.abs(off).max() < 4.5
    pixels = _pixels_in_sigmas(world, result, model)
    # Each camera's picture hangs on some ten numbers, all four on 40: 1 +- 0.11, four of those.
    assert 0.56 < np.sqrt(np.mean(pixels**2)) < 1.44
    rig = result.rig
    assert rig.quality is not None
    assert rig.quality.rms_px == pytest.approx(0.2 * np.sqrt(2), rel=0.04)
    assert rig.rejected == ()
    again = rig_from_yaml(rig_to_yaml(rig))
    assert [(c.model, len(c.dist)) for c in again.cameras] == [
        (c.model, len(c.dist)) for c in world.cameras
    ]
    np.testing.assert_array_equal(again.cameras[0].dist, rig.cameras[0].dist)
    assert "poor_lens_model" not in {finding.code for finding in rig.verdict.findings}


def test_lenses_of_all_models_in_one_rig_and_points_through_them() -> None:
    """A fisheye, an eight-coefficient lens and two of five, each camera with its own model."""
    world = wide_world(1, ("fisheye", "pinhole8", "fisheye", "fisheye"), close=16)
    names = [camera.name for camera in world.cameras]
    models = parse_models(["fisheye", "cam1:pinhole8"], names)
    result = _calibrated(world, models=models)
    assert np.abs(_off_in_sigmas(world, result)).max() < 4.5
    assert [camera.model for camera in result.rig.cameras] == [
        "fisheye", "pinhole", "fisheye", "fisheye",
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    points = rng.uniform([-0.6, -0.6, 0.4], [0.6, 0.6, 1.6], (40, 3))
    seen = np.stack([project(camera, points) for camera in world.cameras])
    T = world.cameras[0].cam_from_world
    found = triangulate(result.rig.cameras, seen, np.ones(seen.shape[:2]))
    truth = points @ T[:3, :3].T + T[:3, 3]
    off_mm = 1000 * np.linalg.norm(found.points - truth, axis=1)
    predicted = result.rig.quality
    assert predicted is not None
    assert predicted.sigma_mm_at is not None
    # In the reference camera's frame a point moves with that camera's own error; three axes.
    assert np.sqrt(np.mean(off_mm**2)) < 4 * np.sqrt(3) * predicted.sigma_mm_at.worst


def test_a_fisheye_pair_is_a_stereo_rig_too() -> None:
    world = wide_world(2, ("fisheye",) * 4, close=16)
    two = World(
        world.cameras[:2],
        world.board,
        tuple(v for v in world.views if v.camera in ("cam0", "cam1")),
        {},
    )
    rig = _calibrated(two, models={"cam0": "fisheye", "cam1": "fisheye"}).rig
    assert rig.stereo is not None
    # 0.2 px per axis in both pictures, one direction of two: 0.28 in the middle, where a fisheye's
    # pixels are as large as those of the straight picture; towards the rim they grow.
    assert 0.1 < rig.stereo.epipolar_rms_px < 1.0
    baseline = np.linalg.norm(rig.stereo.P2[:3, 3]) / rig.stereo.P2[0, 0]
    assert baseline == pytest.approx(float(np.linalg.norm(rig.stereo.t)), rel=1e-9)


def test_a_fisheye_taken_for_a_plain_lens_is_told_with_what_to_try() -> None:
    result = _calibrated(wide_world(0, ("fisheye",) * 4))
    assert result.rig.verdict is not None
    told = {f.code: f for f in result.rig.verdict.findings}
    assert "--lens fisheye" in told["poor_lens_model"].fix
    assert "noise" in told["poor_lens_model"].message


def test_parts_of_a_lens_that_are_known_stay() -> None:
    world = make_world(2, moments=16, close=8)
    names = [camera.name for camera in world.cameras]
    known = {camera.name: (camera.K, camera.dist) for camera in world.cameras}
    fixed = parse_fixed(["center", "cam1:distortion", "cam2:aspect"], names)
    result = _calibrated(world, known_lenses=known, fixed=fixed)
    free = _calibrated(world)
    for camera in world.cameras:
        found = result.rig.camera(camera.name)
        np.testing.assert_array_equal(found.K[:2, 2], camera.K[:2, 2])
        own, loose = (r.report["cameras"][camera.name]["sigma"] for r in (result, free))
        assert own["cx"] == own["cy"] == 0.0
        assert 0 < own["fx"] < loose["fx"]  # what is known makes the rest surer
    np.testing.assert_array_equal(result.rig.camera("cam1").dist, world.cameras[1].dist)
    assert result.report["cameras"]["cam1"]["sigma"]["k1"] == 0.0
    aspect = result.rig.camera("cam2").K
    assert aspect[1, 1] / aspect[0, 0] == pytest.approx(1.0, rel=1e-12)
    assert np.abs(_off_in_sigmas(world, result)).max() < 4.5


def test_what_stays_without_being_known_is_the_plain_lens() -> None:
    world = make_world(2, moments=12, close=6)
    names = [camera.name for camera in world.cameras]
    plain = tuple(replace(c, K=_centred(c.K), dist=np.zeros(5)) for c in world.cameras)
    rng = np.random.default_rng(3)
    views = board_moments(rng, plain, world.board, 20, 0.2)
    result = _calibrated(
        World(plain, world.board, tuple(views), {}),
        fixed=parse_fixed(["center", "aspect", "distortion"], names),
    )
    for camera, true in zip(result.rig.cameras, plain, strict=True):
        np.testing.assert_array_equal(camera.dist, np.zeros(5))
        np.testing.assert_array_equal(camera.K[:2, 2], [959.5, 539.5])
        assert camera.K[0, 0] == pytest.approx(camera.K[1, 1], rel=1e-12)
        sigma = result.report["cameras"][camera.name]["sigma"]["fx"]
        assert abs(camera.K[0, 0] - true.K[0, 0]) < 4.5 * sigma


def _centred(K: F64) -> F64:
    out = K.copy()
    out[:2, 2] = 959.5, 539.5
    return out


@pytest.mark.parametrize(
    ("words", "parse", "message"),
    [
        (["fish"], parse_models, "pinhole5, pinhole8, fisheye"),
        (["cam9:fisheye"], parse_models, "the cameras are cam0, cam1"),
        (["middle"], parse_fixed, "focal, aspect, center, distortion"),
        (["cam9:center"], parse_fixed, "the cameras are cam0, cam1"),
    ],
)
def test_words_that_are_not_understood(words: list[str], parse: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse(words, ["cam0", "cam1"])  # type: ignore[operator]


def test_one_cameras_word_counts_for_it_in_any_order() -> None:
    assert parse_models(["cam1:fisheye", "pinhole8"], ["cam0", "cam1"]) == {
        "cam0": "pinhole8",
        "cam1": "fisheye",
    }
    assert parse_fixed(["aspect", "cam0:center"], ["cam0", "cam1"]) == {
        "cam0": {"aspect", "center"},
        "cam1": {"aspect"},
    }
