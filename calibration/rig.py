"""A calibrated rig: cameras in one world, what it was calibrated with, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .camera import F64, Camera
from .errors import UnknownCamera

RigKind = Literal["quad", "stereo", "multi"]
Grade = Literal["good", "usable", "bad"]


@dataclass(frozen=True, slots=True)
class Target:
    """The board a rig was calibrated with."""

    kind: Literal["chessboard", "charuco"]
    inner_corners: tuple[int, int]  # columns x rows
    square_m: float


@dataclass(frozen=True, slots=True)
class Stereo:
    """Two cameras as a stereo pair, in OpenCV's terms: `x_right = R @ x_left + t`."""

    left: str
    right: str
    R: F64  # (3, 3)
    t: F64  # (3,) metres
    E: F64  # (3, 3)
    F: F64  # (3, 3)
    R1: F64  # (3, 3)
    R2: F64  # (3, 3)
    P1: F64  # (3, 4)
    P2: F64  # (3, 4)
    Q: F64  # (4, 4)
    epipolar_rms_px: float


@dataclass(frozen=True, slots=True)
class Link:
    """Where another rig stands in this rig's world."""

    rig: str
    this_from_other: F64  # (4, 4)
    rms_px: float


@dataclass(frozen=True, slots=True)
class SigmaAt:
    """Predicted standard deviation of a triangulated point, millimetres."""

    center: float
    worst: float


@dataclass(frozen=True, slots=True)
class RigQuality:
    """How well the whole rig fits. None where the calibration did not measure it."""

    rms_px: float
    chi2_dof: float | None = None
    cross_validation_px: float | None = None
    edge_error_mm: float | None = None
    sigma_mm_at: SigmaAt | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about a calibration, and what to do about it."""

    code: str
    message: str
    fix: str
    camera: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The calibration in plain words."""

    grade: Grade
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A view that was left out, and why.

    With a `partner`, two cameras' views of that moment contradict each other and nothing tells
    which is wrong: both are listed, each naming the other, and one of them is a good view.
    """

    camera: str
    frame: str
    reason: str
    value: float
    partner: str | None = None


@dataclass(frozen=True, slots=True)
class Rig:
    """Calibrated cameras in one right-handed world, metres."""

    name: str
    kind: RigKind
    reference: str  # the camera that anchors the world, or the first
    world: str  # reference | board | floor | imported
    cameras: tuple[Camera, ...]
    created: str = ""  # ISO 8601, UTC
    target: Target | None = None
    stereo: Stereo | None = None
    links: tuple[Link, ...] = ()
    quality: RigQuality | None = None
    verdict: Verdict | None = None
    rejected: tuple[Rejected, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The cameras' names, in order."""
        return tuple(camera.name for camera in self.cameras)

    def camera(self, name: str) -> Camera:
        """The camera of that name.

        Raises:
            UnknownCamera: the rig has none of that name.
        """
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise UnknownCamera(
            f"rig {self.name!r} has no camera {name!r}; its cameras are {', '.join(self.names)}",
            camera=name,
        )
