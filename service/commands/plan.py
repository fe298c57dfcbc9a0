"""`quadglass plan`: what a planned rig would see, and how well."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import BadValue
from .screen import remark, results


def plan(
    rig: Annotated[
        Path | None,
        typer.Argument(metavar="[RIG]", help="A rig file with the floor as its world, or none."),
    ] = None,
    cameras: Annotated[int, typer.Option(min=2, max=16, help="On a ring, evenly.")] = 4,
    radius_m: Annotated[float, typer.Option(help="Of the ring.")] = 4.0,
    height_m: Annotated[float, typer.Option(help="Of the cameras above the floor.")] = 2.0,
    hfov_deg: Annotated[float, typer.Option(help="Horizontal angle of view.")] = 70.0,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of the pictures.")] = "1920x1080",
    volume: Annotated[
        str, typer.Option(metavar="XxYxZ", help="Metres where people will be.")
    ] = "3x3x2",
    drawing: Annotated[
        Path | None, typer.Option("--drawing", "-o", metavar="FILE", help="SVG, from above.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Figures as JSON on stdout.")] = False,
) -> None:
    """Predict coverage and the error of joints for cameras not yet (or already) in place."""
    from calibration.placement import Volume, placement, ring
    from calibration.report_pictures import plan_drawing

    from .export import read_rig

    across, along, tall = _numbers(volume, 3, "3x3x2")
    if not 0 < min(across, along, tall) <= max(across, along, tall) <= 200:
        raise BadValue(f"a volume of {volume} m is not possible; write metres, such as 3x3x2")
    if rig is None:
        width, height = (int(value) for value in _numbers(size, 2, "1920x1080"))
        placed = ring(cameras, radius_m, height_m, hfov_deg, (width, height))
    else:
        known = read_rig(rig)
        if known.world == "reference":
            raise BadValue(
                f"the world of rig {known.name!r} hangs on a camera, so where its floor is nobody "
                "knows; calibrate with --world floor"
            )
        placed = known.cameras
    found = placement(placed, Volume(across, along, tall))
    if drawing is not None:
        svg = plan_drawing(found.plan).replace(
            "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1
        )
        drawing.parent.mkdir(parents=True, exist_ok=True)
        drawing.write_text(svg, encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(_without_nan(asdict(found)), allow_nan=False))
        return
    median, most, worst = found.sigma_mm
    results.print(
        f"seen by two cameras {100 * found.seen_by_two:.0f} %, by three "
        f"{100 * found.seen_by_three:.0f} % of {across:g} x {along:g} x {tall:g} m\n"
        f"a joint is located to {median:.1f} mm (median), {most:.1f} mm (95 %), {worst:.1f} mm "
        f"(worst), {found.sigma_center_mm:.1f} mm in the middle, per axis\n"
        f"a person is {found.person_px[0]:.0f} to {found.person_px[1]:.0f} px tall",
        highlight=False,
        soft_wrap=True,
    )
    for name, share in found.seen_per_camera:
        results.print(
            f"  {name} sees {100 * share:.0f} % of the volume", highlight=False, soft_wrap=True
        )
    for finding in found.findings:
        results.print(f"  {finding}", highlight=False, markup=False, soft_wrap=True)
    if drawing is not None:
        remark(f"-> {drawing}")


def _numbers(text: str, count: int, example: str) -> list[float]:
    try:
        values = [float(part) for part in text.lower().replace("×", "x").split("x")]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise BadValue(f"{text[:40]!r} is not understood; write it as {example}")
    return values


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
