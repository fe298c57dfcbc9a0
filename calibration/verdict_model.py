"""Findings about lenses and the board: what their models say, and what they cannot follow."""

from __future__ import annotations

import math

from .bend import Bend
from .camera import Camera
from .lens_fit import ModelEvidence, RadialBias
from .projection import model_of, turns_back
from .quality import CameraFigures
from .rig import Finding
from .verdict_rejected import Severity

FOCAL_USABLE, FOCAL_BAD = 0.01, 0.05  # sigma over focal length
# Rings of corners that are off together by this share of the noise; a fifteenth of a well-chosen
# lens' is chance, a poorer model leaves a fifth and more.
BIAS_SHARE = 0.15
# Beyond this angle across the picture a pinhole's terms grow wild at the rim.
WIDE_DEG = 90.0
# A bend is told from noise at this many sigmas, and told at all from this share of a square on: a
# print on board that is sound (0.2 mm over half a metre) is not to be complained about.
BEND_SIGMAS = 5.0
BEND_SHARE = 0.02


def judge_lens(
    camera: Camera, figures: CameraFigures, model: ModelEvidence | None
) -> list[tuple[Severity, Finding]]:
    """Findings about one camera's lens."""
    name = camera.name
    out: list[tuple[Severity, Finding]] = []
    focal = 0.5 * (camera.K[0, 0] + camera.K[1, 1])
    loose = figures.sigma.focal_px / focal
    if loose > FOCAL_USABLE:
        finding = Finding(
            "loose_focal",
            f"{name}: the focal length {focal:.0f} px is sure to {figures.sigma.focal_px:.1f} px "
            "only",
            "add tilted close-ups of the board for this camera's lens (--intrinsics)",
            name,
        )
        out.append(("bad" if loose > FOCAL_BAD else "usable", finding))
    if turns_back(camera.K, camera.dist, camera.size_px):
        finding = Finding(
            "distortion_folds",
            f"{name}: the distortion model turns back inside the picture, so pixels near its "
            "corners cannot be undistorted",
            "add views with the board in the corners of the picture"
            + (f", or choose another lens model ({_other(camera)})" if _is_wide(camera) else ""),
            name,
        )
        out.append(("usable", finding))
    if model is not None and _biased(model.bias):
        finding = Finding(
            "poor_lens_model",
            f"{name}: corners are off along the radius by {model.bias.bias_px:.2f} px ring by "
            f"ring, which noise ({model.bias.noise_px:.2f} px) does not do: its "
            f"{'given lens' if model.given else 'lens model'} cannot follow the lens",
            "let the lens be calibrated" if model.given else f"try {_other(camera)}",
            name,
        )
        out.append(("usable" if model.bias.bias_px > model.bias.noise_px else "note", finding))
    return out


def judge_bend(bend: Bend | None, square_m: float) -> list[tuple[Severity, Finding]]:
    """A bent board: taken into account or not."""
    if bend is None:
        return []
    told = any(
        abs(size) > max(BEND_SIGMAS * sigma, BEND_SHARE * 1000.0 * square_m)
        for size, sigma in (
            (bend.across_mm, bend.sigma_across_mm),
            (bend.down_mm, bend.sigma_down_mm),
        )
    )
    if not told:
        return []
    message = (
        f"the board is bent: its middle lies {abs(bend.across_mm):.1f} mm "
        f"{_side(bend.across_mm)} its edges across and {abs(bend.down_mm):.1f} mm "
        f"{_side(bend.down_mm)} down (sure to {bend.sigma_across_mm:.1f} and "
        f"{bend.sigma_down_mm:.1f} mm)"
    )
    if bend.allowed:
        text = f"{message}; that was taken into account"
        fix = "nothing to do; a board on glass or an aluminium panel needs no such help"
        return [("note", Finding("bent_board", text, fix))]
    fix = "calibrate with --bend, or glue the print to a stiff plate (glass, aluminium panel)"
    return [("usable", Finding("bent_board", message, fix))]


def _side(size: float) -> str:
    return "behind" if size >= 0 else "before"


def _biased(bias: RadialBias) -> bool:
    return bias.certain and bias.bias_px > BIAS_SHARE * bias.noise_px


def _is_wide(camera: Camera) -> bool:
    return math.degrees(2.0 * math.atan(camera.size_px[0] / (2.0 * camera.K[0, 0]))) > WIDE_DEG


def _other(camera: Camera) -> str:
    """Lens models to try instead, as the command line takes them."""
    model = model_of(camera.dist)
    if model == "pinhole5":
        return "--lens fisheye or pinhole8" if _is_wide(camera) else "--lens pinhole8"
    return "--lens pinhole8" if model == "fisheye" else "--lens fisheye"
