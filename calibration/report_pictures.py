"""The report's pictures as SVG text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

# Misfits are hundredths of a pixel; so long they can be seen.
ARROW_TIMES = 50.0
BARS = 24
CELL = 40

Sample = Sequence[Sequence[float]]  # x, y, dx, dy pixels


def residual_arrows(size_px: Sequence[int], sample: Sample) -> str:
    """Corners and their misfits in one camera's picture."""
    width, height = size_px
    stroke = width / 600
    lines = "".join(
        f"<path d='M{x:.1f} {y:.1f}l{ARROW_TIMES * dx:.1f} {ARROW_TIMES * dy:.1f}'/>"
        for x, y, dx, dy in sample
    )
    dots = "".join(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{stroke:.1f}'/>" for x, y, _, _ in sample)
    return (
        f"<svg viewBox='0 0 {width} {height}'><g stroke='#c2410c' stroke-width='{stroke:.1f}'>"
        f"{lines}</g><g fill='#1b2430'>{dots}</g></svg>"
    )


def coverage_map(counts: Sequence[Sequence[int]]) -> str:
    """Corners in each cell of the picture; empty cells are red."""
    most = max(max(row) for row in counts) or 1
    cells = []
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            fill = f"rgb(26 127 75/{0.15 + 0.85 * count / most:.2f})" if count else "#f3c9c5"
            cells.append(
                f"<rect x='{x * CELL}' y='{y * CELL}' width='{CELL - 1}' height='{CELL - 1}' "
                f"fill='{fill}'/><text x='{x * CELL + CELL / 2}' y='{y * CELL + CELL / 2 + 4}' "
                f"font-size='11' text-anchor='middle'>{count}</text>"
            )
    size = f"{len(counts[0]) * CELL} {len(counts) * CELL}"
    return f"<svg viewBox='0 0 {size}'>{''.join(cells)}</svg>"


def histogram(sample: Sample) -> str:
    """How many corners miss by how much."""
    misfits = sorted(math.hypot(dx, dy) for _, _, dx, dy in sample)
    if not misfits:
        return "<svg viewBox='0 0 360 200'></svg>"
    # The last percent would squeeze all others into the first bars.
    end = max(misfits[int(0.99 * (len(misfits) - 1))] * 1.1, 1e-6)
    bars = [0] * BARS
    for value in misfits:
        bars[min(int(value / end * BARS), BARS - 1)] += 1
    most = max(bars)
    drawn = "".join(
        f"<rect x='{i * 15}' y='{180 - 170 * n / most:.1f}' width='14' "
        f"height='{170 * n / most:.1f}' fill='#3b6ea5'/>"
        for i, n in enumerate(bars)
    )
    return (
        f"<svg viewBox='0 0 360 200'>{drawn}<text x='2' y='196' font-size='12'>0</text>"
        f"<text x='358' y='196' font-size='12' text-anchor='end'>{end:.2f} px</text></svg>"
    )


def plan_drawing(plan: Mapping[str, Any]) -> str:
    """Cameras, boards and predicted errors, as `plan.flat_plan` gives them."""
    points = [camera["at"] for camera in plan["cameras"]] + plan["boards"]
    points += [[plan["u"][0], plan["v"][0]], [plan["u"][-1], plan["v"][-1]]]
    low = [min(p[axis] for p in points) for axis in (0, 1)]
    high = [max(p[axis] for p in points) for axis in (0, 1)]
    span = max(high[0] - low[0], high[1] - low[1], 1e-6)
    scale = 900 / (1.2 * span)
    edge = 0.1 * span * scale

    def place(point: Sequence[float]) -> tuple[float, float]:
        return (point[0] - low[0]) * scale + edge, (point[1] - low[1]) * scale + edge

    width = (high[0] - low[0]) * scale + 2 * edge
    height = (high[1] - low[1]) * scale + 2 * edge
    dots = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2.5'/>" for x, y in map(place, plan["boards"])
    )
    return (
        f"<svg viewBox='0 0 {width:.0f} {height:.0f}'>{_errors(plan, place)}"
        f"<g fill='#1b2430' fill-opacity='.6'>{dots}</g>{_cameras(plan, place)}</svg>"
    )


def _errors(plan: Mapping[str, Any], place: Any) -> str:
    values = [v for row in plan["sigma_mm"] for v in row if v is not None]
    if not values:
        return ""
    # Far outside the boards the error grows without end; colours go to the 90th percentile.
    low, high = min(values), sorted(values)[int(0.9 * (len(values) - 1))]
    x0, y0 = place([plan["u"][0], plan["v"][0]])
    x1, y1 = place([plan["u"][1], plan["v"][1]])
    w, h = x1 - x0, y1 - y0
    cells = []
    for j, row in enumerate(plan["sigma_mm"]):
        for i, value in enumerate(row):
            if value is None:
                continue
            share = min(max((value - low) / max(high - low, 1e-9), 0.0), 1.0)
            cells.append(
                f"<rect x='{x0 + i * w - w / 2:.1f}' y='{y0 + j * h - h / 2:.1f}' "
                f"width='{w:.1f}' height='{h:.1f}' fill='hsl({140 - 130 * share:.0f} 55% 78%)'>"
                f"<title>{value:.2f} mm</title></rect>"
            )
    legend = (
        f"<text x='8' y='20' font-size='15'>green {low:.2g} mm, red {high:.2g} mm and more</text>"
    )
    return "".join(cells) + legend


def _cameras(plan: Mapping[str, Any], place: Any) -> str:
    parts = []
    for camera in plan["cameras"]:
        x, y = place(camera["at"])
        dx, dy = camera["looks"]
        left = f"{x + 46 * dx - 18 * dy:.1f} {y + 46 * dy + 18 * dx:.1f}"
        right = f"{x + 46 * dx + 18 * dy:.1f} {y + 46 * dy - 18 * dx:.1f}"
        parts.append(
            f"<path d='M{x:.1f} {y:.1f}L{left}L{right}Z' fill='#3b6ea5' fill-opacity='.35' "
            f"stroke='#3b6ea5'/><circle cx='{x:.1f}' cy='{y:.1f}' r='5' fill='#3b6ea5'/>"
            f"<text x='{x + 9:.1f}' y='{y - 9:.1f}' font-size='15'>{escape(camera['name'])}</text>"
        )
    return "".join(parts)
