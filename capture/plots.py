"""A take at a glance: where people went, how good it is over time, and their joint angles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.rig import Rig
from models.skeleton import COCO17

from .angles import ANGLES, joint_angles_deg
from .chart import Panel, Series, draw_panel, draw_plan
from .errors import ExportError
from .paint import INK, LEFT, PAPER, RIGHT, Image, caption, id_color
from .people import F64, Frame
from .timeline import by_identity

__all__ = ["plot_angles", "plot_quality", "plot_trajectories", "take_plots"]

SIZE_PX = (1600, 900)
MAX_PEOPLE = 4  # whose angles are drawn: those seen longest
BRIEF = 0.02  # of the frames: who is seen in fewer is a chance meeting and gets no line
PAD = 10
HIPS = [COCO17.joints.index(f"{side}_hip") for side in ("left", "right")]


def take_plots(frames: Sequence[Frame], rig: Rig) -> dict[str, Image]:
    """Pictures of a take by name: `trajectories`, `quality` and `angles`, BGR.

    Args:
        frames: in order of time, identities given.
        rig: that the take was made with.

    Raises:
        ExportError: there is nobody in the take.
    """
    if not by_identity(frames):
        raise ExportError("the take has no person in metres to plot; was anybody seen?")
    return {
        "trajectories": plot_trajectories(frames, rig),
        "quality": plot_quality(frames),
        "angles": plot_angles(frames),
    }


def plot_trajectories(frames: Sequence[Frame], rig: Rig) -> Image:
    """Everybody's middle of the hips: from above, and along each axis over time."""
    canvas, (wide, high) = _paper()
    times, people = _times(frames), _lasting(frames)
    paths = {identity: _middles(frames, places) for identity, places in people.items()}
    top = _title(canvas, "trajectories: middle of the hips, metres in the world")
    half = wide // 2
    draw_plan(
        canvas,
        (PAD, top, half - 2 * PAD, high - top - PAD),
        "from above (x across, y up); ring: first seen, disc: last",
        [Series(at[:, 0], at[:, 1], id_color(i), f"id {i}") for i, at in paths.items()],
        [(camera.name, camera.center_world[:2]) for camera in rig.cameras],
    )
    panels = [
        Panel(
            f"{name} (m) over time (s)",
            [Series(times, at[:, axis], id_color(i), f"id {i}") for i, at in paths.items()],
            _span(times),
        )
        for axis, name in enumerate("xyz")
    ]
    _column(canvas, (half, top, wide - half - PAD, high - top - PAD), panels)
    return canvas


def plot_quality(frames: Sequence[Frame]) -> Image:
    """Over time: people, joints found, views, reprojection error and sigma of each person."""
    canvas, (wide, high) = _paper()
    times, people = _times(frames), _lasting(frames)
    top = _title(canvas, "quality over time (s), one line a person")
    count = np.array([len(frame.people) for frame in frames], dtype=np.float64)
    alone = [sum(map(len, frame.single_view.values())) for frame in frames]
    rows: dict[str, list[Series]] = {
        "joints with a position (%)": [],
        "views a joint, mean": [],
        "reprojection error (px), median": [],
        "sigma (mm), median": [],
    }
    for identity, places in people.items():
        found, views, off_px, sigma = (np.full(len(frames), np.nan) for _ in range(4))
        for number, place in places:
            person = frames[number].people[place]
            there = np.isfinite(person.positions[:, 0])
            found[number] = 100 * there.mean()
            if there.any():
                views[number] = person.views[there].mean()
                off_px[number] = _median(person.reprojection_px[there])
                sigma[number] = _median(person.sigma_mm[there])
        values = (found, views, off_px, sigma)
        for series, row in zip(rows.values(), values, strict=True):
            series.append(Series(times, row, id_color(identity), f"id {identity}"))
    limits = {"joints with a position (%)": (0.0, 105.0)}
    panels = [
        Panel(
            "people in 3D (light) and sightings of one camera only (grey)",
            [
                Series(times, np.array(alone, dtype=np.float64), id_color(-1)),
                Series(times, count, INK),
            ],
            _span(times),
            (0.0, max(float(count.max()), *map(float, alone)) + 0.5),
        ),
        *(Panel(title, s, _span(times), limits.get(title)) for title, s in rows.items()),
    ]
    _column(canvas, (PAD, top, wide - 2 * PAD, high - top - PAD), panels)
    return canvas


def plot_angles(frames: Sequence[Frame]) -> Image:
    """Joint angles of those seen longest; left is warm, right is cool."""
    canvas, (wide, high) = _paper()
    times, people = _times(frames), _lasting(frames)
    longest = sorted(sorted(people, key=lambda i: -len(people[i]))[:MAX_PEOPLE])
    more = "" if len(people) <= MAX_PEOPLE else f"; {MAX_PEOPLE} of {len(people)} people"
    top = _title(canvas, f"joint angles (degrees) over time (s); left warm, right cool{more}")
    names = [name.removeprefix("left_") for name in ANGLES if name.startswith("left_")]
    columns = {1: 2, 2: 3}.get(len(longest), len(names))
    cell_w = (wide - 2 * PAD) // columns
    cell_h = (high - top - PAD) // (len(longest) * len(names) // columns)
    for number, identity in enumerate(longest):
        bodies = np.full((len(frames), len(COCO17.joints), 3), np.nan)
        for frame, place in people[identity]:
            bodies[frame] = frames[frame].people[place].positions
        angles = joint_angles_deg(bodies)  # (F, angles)
        for which, name in enumerate(names):
            both = [
                Series(times, angles[:, ANGLES.index(f"{side}_{name}")], color)
                for side, color in (("right", RIGHT), ("left", LEFT))
            ]
            row, column = divmod(number * len(names) + which, columns)
            box = (PAD + column * cell_w, top + row * cell_h, cell_w - PAD, cell_h - PAD)
            title = f"id {identity}  {name.replace('_', ' ')}"
            draw_panel(canvas, box, Panel(title, both, _span(times)))
    return canvas


def _lasting(frames: Sequence[Frame]) -> dict[int, list[tuple[int, int]]]:
    """Those who are seen for more than a moment; everybody if nobody is."""
    people = by_identity(frames)
    lasting = {i: places for i, places in people.items() if len(places) > BRIEF * len(frames)}
    return lasting or people


def _paper() -> tuple[Image, tuple[int, int]]:
    wide, high = SIZE_PX
    return np.full((high, wide, 3), PAPER, dtype=np.uint8), SIZE_PX


def _title(canvas: Image, text: str) -> int:
    """The title, and where the picture goes on below it."""
    caption(canvas, text, (PAD + 8, 32), 0.7, INK)
    return 48


def _column(canvas: Image, box_xywh: tuple[int, int, int, int], panels: Sequence[Panel]) -> None:
    """Panels one below the other."""
    x, y, wide, high = box_xywh
    each = high // len(panels)
    for number, panel in enumerate(panels):
        draw_panel(canvas, (x, y + number * each, wide, each - PAD), panel)


def _times(frames: Sequence[Frame]) -> F64:
    return np.array([(f.timestamp_ns - frames[0].timestamp_ns) * 1e-9 for f in frames])


def _span(times: F64) -> tuple[float, float]:
    return (float(times[0]), max(float(times[-1]), float(times[0]) + 1e-3))


def _middles(frames: Sequence[Frame], places: Sequence[tuple[int, int]]) -> F64:
    """(F, 3) middle of the hips, or the one that is known; NaN where somebody is not there."""
    path = np.full((len(frames), 3), np.nan)
    for number, place in places:
        hips = frames[number].people[place].positions[HIPS]
        known = hips[np.isfinite(hips[:, 0])]
        if len(known):
            path[number] = known.mean(axis=0)
    return path


def _median(values: F64) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")
