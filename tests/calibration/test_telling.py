from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.calibrate import calibrate_views
from calibration.footage import Clip, Footage
from calibration.telling import telling_moments
from calibration.views import Sightings, View, coverage_counts

from .boards import World, make_world


def _filmed(world: World) -> Footage:
    """The world as videos: only of those are moments left out."""
    clips = tuple(Clip(c.name, (Path(f"{c.name}.mp4"),), ()) for c in world.cameras)
    return Footage(clips, clips)


def _moments(sightings: Sightings, shared: bool = True) -> set[str]:
    return {view.moment for view in sightings.views if view.shared == shared}


def _few(world: World, names: set[str]) -> Sightings:
    views = tuple(v for v in world.views if not v.shared or v.moment in names)
    return replace(world.sightings, views=views)


def test_chosen_moments_cover_more_than_as_many_in_a_row() -> None:
    world = make_world(4, moments=60, close=0)
    chosen = telling_moments(world.sightings, _filmed(world), world.board, 12)
    assert len(_moments(chosen)) == 12
    row = _few(world, set(sorted(_moments(world.sightings))[:12]))
    for camera in world.cameras:
        cells = [
            np.count_nonzero(
                sum(coverage_counts(v.corners_px, camera.size_px) for v in s.views
                    if v.camera == camera.name)
            )
            for s in (chosen, row)
        ]  # fmt: skip
        assert cells[0] > cells[1], camera.name
    # Every neighbouring pair of the ring still shares moments, so the rig can be calibrated.
    footage = Footage(tuple(Clip(c.name, (), ()) for c in world.cameras))
    assert calibrate_views(chosen, footage, world.board).rig.quality is not None


def test_pictures_that_somebody_chose_are_all_kept() -> None:
    world = make_world(4, moments=10, close=4)
    folders = Footage(tuple(Clip(c.name, (Path("a.png"),), ()) for c in world.cameras))
    assert telling_moments(world.sightings, folders, world.board, 3) == world.sightings
    close = telling_moments(world.sightings, _filmed(world), world.board, 3)
    assert len(_moments(close)) == 3
    for camera in world.cameras:
        assert sum(v.camera == camera.name and not v.shared for v in close.views) == 3


def test_a_board_that_was_held_still_is_one_moment() -> None:
    world = make_world(4, moments=4, close=0)
    rng = np.random.default_rng(0)
    again = [
        replace(v, moment=f"{v.moment}-{n}", corners_px=v.corners_px + rng.normal(0, 0.2, (54, 2)))
        for v in world.views
        for n in range(5)
    ]
    sightings = replace(world.sightings, views=tuple(again))
    chosen = telling_moments(sightings, _filmed(world), world.board, 20)
    assert sorted(moment[:4] for moment in _moments(chosen)) == sorted(_moments(world.sightings))


def test_of_two_like_moments_the_sharper_is_kept() -> None:
    world = make_world(4, moments=3, close=0)
    views: list[View] = []
    for view in world.views:
        views.append(replace(view, edge_px=3.0))
        views.append(replace(view, moment=f"{view.moment}-blurred", edge_px=6.0))
    sightings = replace(world.sightings, views=tuple(views))
    chosen = telling_moments(sightings, _filmed(world), world.board, 3)
    assert _moments(chosen) == _moments(world.sightings)


def test_tilt_and_size_are_novel_too() -> None:
    """Boards in one place of the picture: of twelve, nine of them alike, the others are kept."""
    world = make_world(4, moments=1, close=0)
    view = world.views[0]
    middle = view.corners_px.mean(axis=0)
    rng = np.random.default_rng(1)

    def at(name: str, change: np.ndarray) -> View:
        corners = (view.corners_px - middle) @ change.T + middle + rng.uniform(-3, 3, 2)
        return replace(view, moment=name, corners_px=corners)

    alike = [at(f"alike{n}", np.eye(2)) for n in range(9)]
    special = [
        at("small", 0.5 * np.eye(2)),
        at("narrow", np.diag([0.5, 1.0])),
        at("low", np.diag([1.0, 0.5])),
    ]
    sightings = replace(world.sightings, views=(*alike, *special))
    chosen = _moments(telling_moments(sightings, _filmed(world), world.board, 4))
    assert {"small", "narrow", "low"} <= chosen
