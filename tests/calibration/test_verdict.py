from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from calibration.camera import CameraQuality, CameraSigma
from calibration.extrinsics import Edge
from calibration.quality import CameraFigures
from calibration.rig import Rejected, RigQuality, SigmaAt
from calibration.verdict import Evidence, judge

from .boards import ring

FINE = CameraFigures(
    CameraQuality(0.25, 0.5, 40, 2000, 0.8, 2.5), CameraSigma(0.5, 0.5, 1e-4, 1e-3), 1.0, 40.0,
    3.0, ((1,),),
)  # fmt: skip


def fine_evidence() -> Evidence:
    """Of a rig with nothing to complain about."""
    cameras = ring(np.random.default_rng(0))
    names = [camera.name for camera in cameras]
    edges = [Edge(a, b, 15, 15, np.eye(4), 15.0) for a, b in pairwise(names)]
    return Evidence(
        cameras=cameras,
        figures=dict.fromkeys(names, FINE),
        quality=RigQuality(0.25, 1.0, 0.27, 0.1, SigmaAt(1.0, 2.0)),
        edges=edges,
        rejected=(),
        views=160,
        moments={name: [f"m{i:03d}" for i in range(20)] for name in names},
        frame_counts={},
        mirrored=(),
    )


def test_a_fine_calibration_is_good_and_says_nothing() -> None:
    verdict = judge(fine_evidence())
    assert (verdict.grade, verdict.findings) == ("good", ())


def _camera(**changes: object) -> CameraFigures:
    quality = {k: v for k, v in changes.items() if k in CameraQuality.__slots__}
    sigma = {k: v for k, v in changes.items() if k in CameraSigma.__slots__}
    rest = {k: v for k, v in changes.items() if k not in quality and k not in sigma}
    return replace(
        FINE,
        quality=replace(FINE.quality, **quality),  # type: ignore[arg-type]
        sigma=replace(FINE.sigma, **sigma),  # type: ignore[arg-type]
        **rest,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("figures", "code", "grade"),
    [
        (_camera(rms_px=1.5), "high_residual", "usable"),
        (_camera(rms_px=9.0), "high_residual", "bad"),
        (_camera(views=8), "few_views", "good"),
        (_camera(views=4), "few_views", "usable"),
        (_camera(coverage=0.2), "low_coverage", "good"),
        (_camera(depth_ratio=1.1, tilt_range_deg=5.0), "one_depth", "usable"),
        (_camera(depth_ratio=2.0, tilt_range_deg=5.0), "no_tilt", "good"),
        (_camera(focal_px=30.0), "loose_focal", "usable"),
        (_camera(focal_px=100.0), "loose_focal", "bad"),
    ],
)
def test_what_is_said_of_a_camera(figures: CameraFigures, code: str, grade: str) -> None:
    evidence = fine_evidence()
    verdict = judge(replace(evidence, figures={**evidence.figures, "cam2": figures}))
    assert verdict.grade == grade
    assert [(f.code, f.camera) for f in verdict.findings] == [(code, "cam2")]
    assert verdict.findings[0].message
    assert verdict.findings[0].fix


@pytest.mark.parametrize(
    ("changes", "code", "grade"),
    [
        ({"quality": RigQuality(0.25, sigma_mm_at=SigmaAt(30.0, 90.0))}, "loose_points", "usable"),
        ({"quality": RigQuality(0.25, sigma_mm_at=SigmaAt(300.0, 900.0))}, "loose_points", "bad"),
        ({"quality": RigQuality(0.25, cross_validation_px=0.6)}, "halves_disagree", "usable"),
        ({"frame_counts": {"cam0": 400, "cam1": 441}}, "unequal_frame_counts", "usable"),
        ({"edges_px": {"cam1": 11.0}}, "blurred", "usable"),
        ({"mirrored": ("cam1",)}, "mirrored_board", "good"),
        ({"edges": [Edge("cam0", "cam1", 2, 2, np.eye(4), 2.0)]}, "weak_link", "good"),
    ],
)
def test_what_is_said_of_a_rig(changes: dict[str, object], code: str, grade: str) -> None:
    verdict = judge(replace(fine_evidence(), **changes))  # type: ignore[arg-type]
    assert (verdict.grade, [f.code for f in verdict.findings]) == (grade, [code])


@pytest.mark.parametrize(
    "reason", ["flipped", "desync", "corners", "residual", "duplicate", "blur", "collinear"]
)
def test_rejected_views_are_told_by_reason(reason: str) -> None:
    few = tuple(Rejected("cam1", f"m{i}", reason, 9.0) for i in range(3))
    verdict = judge(replace(fine_evidence(), rejected=few))
    assert (verdict.grade, verdict.findings[0].code) == ("good", f"rejected_{reason}")
    assert "3 views" in verdict.findings[0].message
    many = tuple(Rejected("cam1", f"m{i}", reason, 9.0) for i in range(60))
    assert judge(replace(fine_evidence(), rejected=many)).grade == "usable"


def test_a_distortion_that_folds_inside_the_picture_is_said() -> None:
    evidence = fine_evidence()
    folded = replace(evidence.cameras[1], dist=np.array([-0.9, 0, 0, 0, 0]))
    verdict = judge(replace(evidence, cameras=(evidence.cameras[0], folded)))
    assert [(f.code, f.camera) for f in verdict.findings] == [("distortion_folds", "cam1")]


def test_a_camera_that_was_moved_is_named_with_the_moment() -> None:
    evidence = fine_evidence()
    late = tuple(Rejected("cam1", f"m{i:03d}", "desync", 50.0) for i in range(12, 20))
    verdict = judge(replace(evidence, rejected=late))
    assert (verdict.grade, verdict.findings[0].code) == ("bad", "camera_moved")
    assert verdict.findings[0].camera == "cam1"
    assert "moment m012" in verdict.findings[0].message
    scattered = tuple(Rejected("cam1", f"m{i:03d}", "desync", 50.0) for i in range(0, 20, 3))
    assert "camera_moved" not in [
        f.code for f in judge(replace(evidence, rejected=scattered)).findings
    ]
