"""The rig file, version 1, as the outside world may write it: one pydantic model per block.

Unknown keys are refused, every number is finite, matrices have their shape, rotations turn.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from .rig_numbers import (
    Count,
    Matrix33,
    Matrix34,
    Matrix44,
    Name,
    NotNegative,
    Number,
    Pixels,
    Positive,
    Rotation,
    Vector3,
    check_rotation,
    no_bool,
)

FORMAT = "quadglass-rig/1"
CONVENTION = (
    "x_cam = R @ x_world + t; camera x right, y down, z forward; pixel centres are integers"
)
MAX_CAMERAS = 16


class Block(BaseModel):
    """A block of the file: no unknown keys, not changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolBlock(Block):
    """What wrote the file."""

    name: str
    version: str
    opencv: str | None = None


class UnitsBlock(Block):
    """The only units."""

    length: Literal["m"]
    angle: Literal["rad"]


class RigBlock(Block):
    """The rig's name and its world."""

    name: Name
    kind: Literal["quad", "stereo", "multi"]
    reference: Name
    world: Literal["reference", "board", "floor", "imported"]


class TargetBlock(Block):
    """The board."""

    kind: Literal["chessboard", "charuco"]
    inner_corners: Annotated[list[Annotated[int, Field(ge=1, le=200)]], Field(min_length=2)]
    square_m: Positive


class SourceBlock(Block):
    """Where the frames are cut from."""

    file: str | None = None
    crop_xywh: tuple[Count, Count, Pixels, Pixels] | None = None
    scale: Positive = 1.0
    offset_px: tuple[Number, Number] = (0.0, 0.0)


class SigmaBlock(Block):
    """Standard deviations."""

    focal_px: NotNegative
    center_px: NotNegative
    rotation_rad: NotNegative
    translation_m: NotNegative


class QualityBlock(Block):
    """How a camera's views fit."""

    rms_px: NotNegative
    p95_px: NotNegative
    views: Count
    corners: Count
    coverage: NotNegative
    depth_ratio: NotNegative


class CameraBlock(Block):
    """One camera."""

    image_size: tuple[Pixels, Pixels]
    source: SourceBlock = SourceBlock()
    model: Literal["pinhole", "fisheye"] = "pinhole"
    K: Matrix33
    distortion: Annotated[list[Number], Field(min_length=4, max_length=8)]
    R: Rotation
    t: Vector3
    sigma: SigmaBlock | None = None
    quality: QualityBlock | None = None

    @field_validator("K")
    @classmethod
    def _upper_triangle(cls, rows: list[list[float]]) -> list[list[float]]:
        (fx, skew, _), (zero, fy, _), last = rows
        if fx <= 0 or fy <= 0 or skew != 0 or zero != 0 or last != [0, 0, 1]:
            raise ValueError(
                "K must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with fx, fy > 0 and no skew"
            )
        return rows

    @model_validator(mode="after")
    def _count_of_coefficients(self) -> Self:
        allowed = (4,) if self.model == "fisheye" else (5, 8)
        if len(self.distortion) not in allowed:
            raise ValueError(
                f"distortion has {len(self.distortion)} coefficients; model {self.model} takes "
                f"{' or '.join(map(str, allowed))}"
            )
        return self


class StereoBlock(Block):
    """The stereo pair."""

    left: Name
    right: Name
    R: Rotation
    t: Vector3
    E: Matrix33
    F: Matrix33
    R1: Rotation
    R2: Rotation
    P1: Matrix34
    P2: Matrix34
    Q: Matrix44
    epipolar_rms_px: NotNegative


class LinkBlock(Block):
    """Another rig in this world."""

    rig: Name
    this_from_other: Matrix44
    rms_px: NotNegative

    @field_validator("this_from_other")
    @classmethod
    def _rigid(cls, rows: list[list[float]]) -> list[list[float]]:
        check_rotation([row[:3] for row in rows[:3]])
        if rows[3] != [0, 0, 0, 1]:
            raise ValueError("the last row of a transform must be [0, 0, 0, 1]")
        return rows


class SigmaAtBlock(Block):
    """Predicted sigma of a triangulated point."""

    center: NotNegative
    worst: NotNegative


class RigQualityBlock(Block):
    """How the rig fits."""

    rms_px: NotNegative
    chi2_dof: NotNegative | None = None
    cross_validation_px: NotNegative | None = None
    edge_error_mm: NotNegative | None = None
    sigma_mm_at: SigmaAtBlock | None = None


class FindingBlock(Block):
    """One finding."""

    code: str
    message: str
    fix: str
    camera: Name | None = None


class VerdictBlock(Block):
    """Grade and findings."""

    grade: Literal["good", "usable", "bad"]
    findings: list[FindingBlock] = []


class RejectedBlock(Block):
    """A view that was left out."""

    camera: Name
    frame: Annotated[str, BeforeValidator(lambda value: str(no_bool(value)))]
    reason: str
    value: Number
    partner: Name | None = None


class RigFile(Block):
    """The whole file."""

    format: Literal["quadglass-rig/1"]
    created: str = ""
    tool: ToolBlock | None = None
    units: UnitsBlock
    convention: str = CONVENTION
    rig: RigBlock
    target: TargetBlock | None = None
    cameras: Annotated[dict[Name, CameraBlock], Field(min_length=1, max_length=MAX_CAMERAS)]
    stereo: StereoBlock | None = None
    links: list[LinkBlock] = []
    quality: RigQualityBlock | None = None
    verdict: VerdictBlock | None = None
    rejected: list[RejectedBlock] = []

    @field_validator("created", mode="before")
    @classmethod
    def _date_as_text(cls, value: Any) -> Any:
        # YAML reads an unquoted time stamp as a date.
        if isinstance(value, datetime.datetime | datetime.date):
            return value.isoformat().replace("+00:00", "Z")
        return value

    @field_validator("convention")
    @classmethod
    def _only_convention(cls, value: str) -> str:
        if value != CONVENTION:
            raise ValueError(f"only this convention is read: {CONVENTION!r}")
        return value

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        wanted = {"stereo": 2, "quad": 4}.get(self.rig.kind)
        if wanted and len(self.cameras) != wanted:
            raise ValueError(
                f"a {self.rig.kind} rig has {wanted} cameras, this file {len(self.cameras)}; "
                "use kind: multi"
            )
        used = [self.rig.reference] + ([self.stereo.left, self.stereo.right] if self.stereo else [])
        for name in used:
            if name not in self.cameras:
                raise ValueError(
                    f"{name!r} is not one of the cameras {', '.join(self.cameras)}; "
                    "the reference and the stereo pair must be"
                )
        return self
