"""A calibration in plain words: good, usable or bad, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .bend import Bend
from .camera import Camera
from .extrinsics import Edge
from .footage import Footage
from .lens_fit import ModelEvidence
from .misread import Misread
from .quality import CameraFigures
from .rig import Finding, Grade, Rejected, RigQuality, Verdict
from .usable import usual_edge_px
from .verdict_model import judge_bend, judge_lens
from .verdict_rejected import Severity, judge_misread, judge_moved, judge_rejected
from .views import Sightings

# Of 1920 pixels across; other widths in proportion.
RMS_USABLE_PX, RMS_BAD_PX = 1.0, 3.0
REFERENCE_WIDTH_PX = 1920
MIN_VIEWS = 10
MIN_COVERAGE = 0.4
# Boards at one depth, or all seen flat, leave focal length and distance undecided.
MIN_DEPTH_RATIO = 1.25
MIN_TILT_DEG = 15.0
MIN_PAIR_MOMENTS = 5
# A tape measure between two lenses is good to a hundredth at least.
SCALE_OFF = 0.02
# Edges that spread wider are out of focus or smeared; corners then shift with the light.
SOFT_PX = 8.0
POINT_USABLE, POINT_BAD = 0.005, 0.025  # sigma of a point over its distance
# Split halves that disagree this much more than the fit: something moved, or the model is too poor.
CROSS_RATIO = 1.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict is made from."""

    cameras: Sequence[Camera]
    figures: Mapping[str, CameraFigures]
    quality: RigQuality
    edges: Sequence[Edge]
    rejected: Sequence[Rejected]
    views: int  # found, before rejection
    moments: Mapping[str, Sequence[str]]  # shared moments per camera, in order
    frame_counts: Mapping[str, int]  # of videos; empty for images
    mirrored: Sequence[str]  # cameras that saw the back of the board
    # over how many pixels edges rise in each camera's median view; 0 where not measured
    edges_px: Mapping[str, float] = field(default_factory=dict)
    distances: Sequence[tuple[str, str, float]] = ()  # measured between two cameras, metres
    square_m: float = 0.0
    lens_models: Mapping[str, ModelEvidence] = field(default_factory=dict)
    bend: Bend | None = None
    misread: Misread = field(default_factory=Misread)


def evidence_of(
    cameras: Sequence[Camera],
    figures: Mapping[str, CameraFigures],
    quality: RigQuality,
    edges: Sequence[Edge],
    rejected: Sequence[Rejected],
    sightings: Sightings,
    footage: Footage,
    distances: Sequence[tuple[str, str, float]],
    square_m: float,
    lens_models: Mapping[str, ModelEvidence],
    bend: Bend | None,
    misread: Misread,
) -> Evidence:
    """The evidence of a finished calibration."""
    counts = {clip.camera: clip.frame_count for clip in footage.clips if clip.frame_count}
    behind = {view.camera for view in sightings.views if view.mirrored}
    mirrored = sorted(behind - set(misread.mirrored))
    moments: dict[str, list[str]] = {camera.name: [] for camera in cameras}
    for view in sightings.views:
        if view.shared:
            moments[view.camera].append(view.moment)
    views = len(sightings.views)
    soft = {camera.name: usual_edge_px(sightings.views, camera.name) for camera in cameras}
    return Evidence(
        cameras, figures, quality, edges, rejected, views, moments, counts, mirrored, soft,
        distances, square_m, lens_models, bend, misread,
    )  # fmt: skip


def judge(evidence: Evidence) -> Verdict:
    """The grade and its findings, worst first."""
    found: list[tuple[Severity, Finding]] = []
    for camera in evidence.cameras:
        found += _judge_camera(camera, evidence.figures[camera.name])
        model = evidence.lens_models.get(camera.name)
        found += judge_lens(camera, evidence.figures[camera.name], model)
    found += _judge_rig(evidence)
    found += _judge_footage(evidence)
    found += _judge_scale(evidence)
    found += judge_bend(evidence.bend, evidence.square_m)
    found += judge_rejected(evidence.rejected, evidence.views)
    found += judge_moved(evidence.rejected, evidence.moments)
    found += judge_misread(evidence.misread)
    order = {"bad": 0, "usable": 1, "note": 2}
    found.sort(key=lambda item: order[item[0]])
    worst = found[0][0] if found else "note"
    grades: dict[Severity, Grade] = {"bad": "bad", "usable": "usable", "note": "good"}
    return Verdict(grades[worst], tuple(finding for _, finding in found))


def _judge_camera(camera: Camera, figures: CameraFigures) -> list[tuple[Severity, Finding]]:
    name, quality = camera.name, figures.quality
    out: list[tuple[Severity, Finding]] = []

    def add(severity: Severity, code: str, message: str, fix: str) -> None:
        out.append((severity, Finding(code, f"{name}: {message}", fix, name)))

    scale = camera.size_px[0] / REFERENCE_WIDTH_PX
    if quality.rms_px > RMS_USABLE_PX * max(scale, 0.5):
        bad = quality.rms_px > RMS_BAD_PX * max(scale, 0.5)
        add(
            "bad" if bad else "usable",
            "high_residual",
            f"corners fit to {quality.rms_px:.2f} px, a plain board usually to under 0.5",
            "check that the board is flat and rigid, the pictures sharp and truly simultaneous",
        )
    if quality.views < MIN_VIEWS:
        add(
            "usable" if quality.views < MIN_VIEWS // 2 else "note",
            "few_views",
            f"only {quality.views} usable views of the board",
            f"film {MIN_VIEWS} or more, tilted, near and far",
        )
    if quality.coverage < MIN_COVERAGE:
        add(
            "note",
            "low_coverage",
            f"corners in {quality.coverage:.0%} of the picture's 9x5 cells",
            "carry the board through the corners of the picture too",
        )
    if quality.depth_ratio < MIN_DEPTH_RATIO and figures.tilt_range_deg < MIN_TILT_DEG:
        add(
            "usable",
            "one_depth",
            f"the farthest board is {quality.depth_ratio:.2f} times as far as the nearest and "
            f"tilts span {figures.tilt_range_deg:.0f} degrees, so focal length and distance "
            "trade off",
            "film the board nearer and farther, and tilted by 20 to 45 degrees",
        )
    elif figures.tilt_range_deg < MIN_TILT_DEG:
        add(
            "note",
            "no_tilt",
            f"the boards' tilts span only {figures.tilt_range_deg:.0f} degrees",
            "tilt the board by 20 to 45 degrees, this way and that",
        )
    return out


def _judge_rig(evidence: Evidence) -> list[tuple[Severity, Finding]]:
    out: list[tuple[Severity, Finding]] = []

    def add(severity: Severity, code: str, message: str, fix: str) -> None:
        out.append((severity, Finding(code, message, fix)))

    quality = evidence.quality
    depth_mm = 1000.0 * float(np.mean([f.depth_m for f in evidence.figures.values()]))
    if quality.sigma_mm_at is not None:
        center = quality.sigma_mm_at.center
        if center > POINT_USABLE * depth_mm:
            add(
                "bad" if center > POINT_BAD * depth_mm else "usable",
                "loose_points",
                f"a point in the middle is sure to {center:.1f} mm only, {depth_mm:.0f} mm away",
                "film more moments where several cameras see the board large and tilted",
            )
    cross = quality.cross_validation_px
    if cross is not None and cross > CROSS_RATIO * quality.rms_px:
        add(
            "usable",
            "halves_disagree",
            f"one half of the moments fits the other half's cameras to {cross:.2f} px, all "
            f"together to {quality.rms_px:.2f} px",
            "a camera may have moved while filming: fix the mounts and film again",
        )
    weakest = _weakest(evidence)
    if weakest is not None and weakest.agreeing < MIN_PAIR_MOMENTS:
        add(
            "note",
            "weak_link",
            f"{weakest.first} and {weakest.second} are tied by {weakest.agreeing} moments",
            f"film at least {MIN_PAIR_MOMENTS} moments where both see the board",
        )
    return out


def _judge_footage(evidence: Evidence) -> list[tuple[Severity, Finding]]:
    out: list[tuple[Severity, Finding]] = []
    counts = evidence.frame_counts
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        finding = Finding(
            "unequal_frame_counts",
            f"the videos have different lengths ({listed} frames)",
            "start and stop all cameras together, or cut the videos to the same moments",
        )
        out.append(("usable", finding))
    for name, edge_px in evidence.edges_px.items():
        if edge_px > SOFT_PX:
            finding = Finding(
                "blurred",
                f"{name}: edges of the board spread over {edge_px:.0f} px, usually over 3",
                "focus the lens on the volume, shorten the exposure, and film again",
                name,
            )
            out.append(("usable", finding))
    for name in evidence.mirrored:
        finding = Finding(
            "mirrored_board",
            f"{name} saw the back of the board, printed mirrored; its corners were put right",
            "nothing to do if the board has two sides, else unmirror the camera's picture",
            name,
        )
        out.append(("note", finding))
    return out


def _judge_scale(evidence: Evidence) -> list[tuple[Severity, Finding]]:
    """Distances that somebody measured against those of the calibration."""
    centers = {camera.name: camera.center_world for camera in evidence.cameras}
    out: list[tuple[Severity, Finding]] = []
    for first, second, measured_m in evidence.distances:
        found_m = float(np.linalg.norm(centers[first] - centers[second]))
        ratio = measured_m / found_m
        if abs(ratio - 1.0) > SCALE_OFF:
            finding = Finding(
                "wrong_scale",
                f"{first} and {second} are {found_m:.3f} m apart by the board and {measured_m:.3f} "
                f"m by your measure, as if its squares were {1000 * ratio * evidence.square_m:.1f} "
                f"mm, not {1000 * evidence.square_m:.1f}",
                "measure a printed square (printers scale pages) and the distance between the "
                "lenses again, and calibrate with what is right",
            )
            out.append(("bad", finding))
    return out


def _weakest(evidence: Evidence) -> Edge | None:
    """The weakest pair that the rig hangs on: the best tie of the worst tied camera."""
    best: list[Edge] = []
    for camera in evidence.cameras:
        own = [edge for edge in evidence.edges if camera.name in (edge.first, edge.second)]
        if own:
            best.append(max(own, key=lambda edge: edge.agreeing))
    return min(best, key=lambda edge: edge.agreeing) if best else None
