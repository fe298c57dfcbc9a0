from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from calibration.calibrate import Calibration, calibrate_views
from calibration.camera import project, to_rays
from calibration.footage import Clip, Footage
from calibration.quality import point_sigma_m
from calibration.report_html import report_html
from calibration.report_pictures import coverage_map, histogram

from .boards import World, make_world


@pytest.fixture(scope="module")
def made() -> tuple[World, Calibration]:
    world = make_world(3, moments=16, close=6, spoil=1)
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    return world, calibrate_views(world.sightings, footage, world.board)


class _Tags(HTMLParser):
    """Collects what a browser would load, and checks that tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [str(value) for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "html"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag != "html":
            assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(made: tuple[World, Calibration]) -> None:
    report = json.loads(json.dumps(made[1].report, allow_nan=False))
    page = report_html(report)
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.loads == []
    assert "http" not in page
    for name in report["cameras"]:
        assert name in page
    for finding in report["findings"]:
        assert finding["code"] in page
    assert page.index("Findings") < page.index("<svg")
    assert len(page) < 1_000_000


def test_names_cannot_inject_markup(made: tuple[World, Calibration]) -> None:
    report: dict[str, Any] = json.loads(json.dumps(made[1].report))
    report["rig"] = "<script>alert(1)</script>"
    report["rejected"] = [
        {"camera": "<b>", "frame": "<i>", "reason": "<u>", "value": 1.0},
    ]
    page = report_html(report)
    assert "<script" not in page
    assert not re.search(r"<[biu]>&lt;|<td><[biu]>", page)


def test_the_report_counts_what_it_used(made: tuple[World, Calibration]) -> None:
    world, result = made
    report = result.report
    assert report["solve"]["views"] == len(report["views"])
    assert sum(view["corners"] for view in report["views"]) == report["solve"]["corners"]
    kept = sum(camera["quality"]["corners"] for camera in report["cameras"].values())
    assert kept == report["solve"]["corners"]
    assert {view["use"] for view in report["views"]} == {"rig", "lens"}
    for name, camera in report["cameras"].items():
        assert camera["found"] == sum(view.camera == name for view in world.views)
        # On noise of 0.2 px per axis; 500 corners and more know it to 3 %.
        rms = np.sqrt(np.mean(np.square([v["rms_px"] for v in report["views"]])))
        assert rms == pytest.approx(0.2 * np.sqrt(2), rel=0.1)


def test_points_lie_within_their_predicted_errors() -> None:
    # Nine values that hang together by threes; four sigmas of a normal one.
    assert np.abs(point_errors_over_sigma(0)).max() < 4.0


@pytest.mark.slow
def test_predicted_point_errors_are_the_real_ones() -> None:
    """Triangulated from exact pixels, points are off as far as predicted."""
    ratios = [point_errors_over_sigma(seed) for seed in range(8)]
    # Errors of one run move all points together: 8 runs x 3 axes are 24 independent values.
    # The spread of 24 normal values is 1 +- 0.15; four of those.
    assert 0.4 < np.std(np.concatenate(ratios)) < 1.6


def point_errors_over_sigma(seed: int) -> np.ndarray:
    """(3, 3) errors of three points over what was predicted for them."""
    world = make_world(seed, moments=12, close=4)
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    result = calibrate_views(world.sightings, footage, world.board)
    covariance = np.asarray(result.report["covariance"]["matrix"])
    points_world = np.array([[0.0, 0.0, 1.0], [0.4, 0.3, 1.2], [-0.3, 0.2, 0.7]])
    T = world.cameras[0].cam_from_world
    points = points_world @ T[:3, :3].T + T[:3, 3]
    sigma = point_sigma_m(result.rig.cameras, points, covariance)
    off = _triangulated(world, result, points_world) - points
    return np.asarray(off / sigma[:, None])


def _triangulated(world: World, result: Calibration, points_world: np.ndarray) -> np.ndarray:
    A, b = np.zeros((len(points_world), 3, 3)), np.zeros((len(points_world), 3))
    for true, found in zip(world.cameras, result.rig.cameras, strict=True):
        rays = to_rays(found, project(true, points_world))
        across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
        A += across
        b += across @ found.center_world
    return np.asarray(np.linalg.solve(A, b[..., None])[..., 0])


def test_pictures_of_nothing_do_not_fail() -> None:
    assert histogram([]).startswith("<svg")
    assert "#f3c9c5" in coverage_map([[0, 0], [0, 0]])
