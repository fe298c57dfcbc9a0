"""Plots of a take, and its film: what must be in them, and what must not break them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.chart import Panel, Series, _ticks, draw_panel, draw_plan
from capture.errors import ExportError
from capture.overlay import overlay_pictures, write_overlay
from capture.paint import LEFT, PAPER, RIGHT, Image, id_color
from capture.people import Frame
from capture.plots import plot_quality, plot_trajectories, take_plots
from tests.capture.test_export_files import seen_take  # noqa: F401  a fixture
from tests.capture.test_smooth import take
from tests.scenes import ring_rig, walkers

RIG = ring_rig(4)


def blank() -> Image:
    return np.full((200, 300, 3), PAPER, dtype=np.uint8)


def count_of(image: Image, color: tuple[int, int, int]) -> int:
    """Pixels of a colour, or of a shade of it that antialiasing makes."""
    return int((np.abs(image.astype(int) - color).max(axis=2) < 40).sum())


def rows_of(image: Image, color: tuple[int, int, int]) -> np.ndarray:
    return np.flatnonzero((np.abs(image.astype(int) - color).max(axis=2) < 40).any(axis=1))


@pytest.mark.parametrize(
    ("span", "most", "expected"),
    [((0.0, 10.0), 5, [0, 2, 4, 6, 8, 10]), ((-0.3, 0.31), 4, [-0.2, 0, 0.2]),
     ((0.0, 600.0), 7, [0, 100, 200, 300, 400, 500, 600])],
)  # fmt: skip
def test_round_numbers(span: tuple[float, float], most: int, expected: list[float]) -> None:
    values, _ = _ticks(span, most)
    assert values == pytest.approx(expected)


def test_a_line_lies_where_its_values_are() -> None:
    """The inside of the box is 58..286 across and 30..170 down: 1 of 0..2 is row 100."""
    canvas = blank()
    level = Series(np.linspace(0, 1, 50), np.ones(50), (0, 255, 0))
    draw_panel(canvas, (0, 0, 300, 200), Panel("t", [level], (0.0, 1.0), (0.0, 2.0)))
    rows = rows_of(canvas, (0, 255, 0))
    assert rows.mean() == pytest.approx(100, abs=0.6)
    assert len(rows) <= 3  # two pixels wide, antialiased
    columns = np.flatnonzero((canvas == (0, 255, 0)).all(axis=2).any(axis=0))
    assert columns.min() == pytest.approx(58, abs=1)
    assert columns.max() == pytest.approx(286, abs=1)


def test_a_gap_stays_a_gap_and_a_lone_point_is_there() -> None:
    values = np.ones(300)
    values[100:200] = np.nan
    values[150] = 1.0
    canvas = blank()
    series = Series(np.linspace(0, 1, 300), values, (0, 255, 0))
    draw_panel(canvas, (0, 0, 300, 200), Panel("t", [series], (0.0, 1.0), (0.0, 2.0)))
    columns = np.flatnonzero(
        (np.abs(canvas.astype(int) - (0, 255, 0)).max(axis=2) < 99).any(axis=0)
    )
    inside = columns[(columns > 58 + 228 * 0.34) & (columns < 58 + 228 * 0.66)]
    assert 1 <= len(inside) <= 5  # the lone point


def test_a_plan_keeps_a_metre_a_metre() -> None:
    canvas = np.full((400, 700, 3), PAPER, dtype=np.uint8)
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = Series(2 * np.cos(turn), 2 * np.sin(turn), (0, 255, 0), "")
    draw_plan(canvas, (0, 0, 700, 400), "t", [circle], [("cam", np.array([3.0, 0.0]))])
    lit = np.abs(canvas.astype(int) - (0, 255, 0)).max(axis=2) < 60
    high = np.ptp(np.flatnonzero(lit.any(axis=1)))
    wide = np.ptp(np.flatnonzero(lit[:300].any(axis=0)))
    assert high == pytest.approx(wide, abs=8)  # the discs at its ends


def test_a_take_gives_three_pictures(seen_take: list[Frame]) -> None:  # noqa: F811
    plots = take_plots(seen_take, RIG)
    assert list(plots) == ["trajectories", "quality", "angles"]
    for name, picture in plots.items():
        assert picture.shape == (900, 1600, 3), name
    assert count_of(plots["angles"], LEFT) > 100
    assert count_of(plots["angles"], RIGHT) > 100
    for identity in (0, 1):
        assert count_of(plots["trajectories"], id_color(identity)) > 50
        assert count_of(plots["quality"], id_color(identity)) > 100


def test_who_is_seen_for_a_moment_gets_no_line() -> None:
    frames = take(walkers(2, 4.0, 30, seed=3), 30.0, ids=(0, 1))
    both = plot_trajectories(frames, RIG)
    brief = [
        replace(f, people=f.people[:2] if n == 7 else f.people[:1]) for n, f in enumerate(frames)
    ]
    one = plot_trajectories(brief, RIG)
    assert count_of(both, id_color(1)) > 300
    assert count_of(one, id_color(1)) == 0
    assert count_of(one, id_color(0)) > 300


def test_one_frame_and_nothing_known_do_not_break() -> None:
    body = np.full((1, 1, 17, 3), np.nan)
    body[0, 0, 0] = [0.1, 0.2, 1.6]
    take_plots(take(body, 30.0), RIG)
    plot_quality(take(body, 30.0))


def test_nobody_is_refused() -> None:
    with pytest.raises(ExportError, match="no person"):
        take_plots(take(np.full((3, 1, 17, 3), np.nan), 30.0), RIG)


def test_the_film_shows_pictures_where_they_are(seen_take: list[Frame]) -> None:  # noqa: F811
    asked = []

    def pictures(sequence: int) -> Mapping[str, Image]:
        asked.append(sequence)
        return {"cam1": np.full((1080, 1920, 3), (200, 30, 200), dtype=np.uint8)}

    film = list(overlay_pictures(seen_take[:2], RIG, pictures, height=240))
    assert asked == [7, 8]
    first = film[0]
    assert first.shape[0] % 2 == first.shape[1] % 2 == 0
    purple, dark = ((first == color).all(axis=2).sum() for color in ((200, 30, 200), 46))
    share = purple / dark
    assert share == pytest.approx(1 / 3, abs=0.07)  # one view of four has a picture


def test_the_film_is_a_video_of_every_frame(seen_take: list[Frame], tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "take.mp4"
    done: list[int] = []
    frames = seen_take[:3]
    write_overlay(path, overlay_pictures(frames, RIG, height=240), 30.0, done.append)
    assert done == [1, 2, 3]
    video = cv2.VideoCapture(str(path))
    try:
        assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(30.0)
        read = []
        while (step := video.read())[0]:
            read.append(step[1])
    finally:
        video.release()
    expected = list(overlay_pictures(frames, RIG, height=240))
    assert len(read) == 3
    for one, other in zip(read, expected, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 6  # a codec that loses a little


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    film = iter([np.zeros((64, 64, 3), dtype=np.uint8)])
    with pytest.raises(ExportError, match="folder"):
        write_overlay(tmp_path / "no" / "take.mp4", film, 30.0)
