"""A rig as YAML and back (format quadglass-rig/1)."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import yaml
from pydantic import BaseModel, ValidationError

from .camera import F64, Camera, CameraQuality, CameraSigma, Source
from .errors import BadRigFile
from .plain_yaml import load_yaml
from .rig import (
    Finding,
    Link,
    Rejected,
    Rig,
    RigQuality,
    SigmaAt,
    Stereo,
    Target,
    Verdict,
)
from .rig_schema import CONVENTION, FORMAT, CameraBlock, RigFile, StereoBlock

__all__ = ["FORMAT", "rig_from_yaml", "rig_to_yaml"]


def rig_to_yaml(rig: Rig) -> str:
    """The rig as text, every number exactly as it is in memory.

    Raises:
        BadRigFile: the rig could not be read back, say because a number is not finite.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "created": rig.created,
        "tool": {
            "name": "quadglass",
            "version": _version(),
            "opencv": cv2.__version__,
        },
        "units": {"length": "m", "angle": "rad"},
        "convention": CONVENTION,
        "rig": {
            "name": rig.name,
            "kind": rig.kind,
            "reference": rig.reference,
            "world": rig.world,
        },
        "target": _target_out(rig.target),
        "cameras": {camera.name: _camera_out(camera) for camera in rig.cameras},
        "stereo": _stereo_out(rig.stereo),
        "links": [
            {
                "rig": link.rig,
                "this_from_other": link.this_from_other.tolist(),
                "rms_px": float(link.rms_px),
            }
            for link in rig.links
        ],
        "quality": _rig_quality_out(rig.quality),
        "verdict": _verdict_out(rig.verdict),
        "rejected": [_rejected_out(rejected) for rejected in rig.rejected],
    }
    content = {key: value for key, value in content.items() if value not in (None, [], "")}
    if len(set(rig.names)) != len(rig.names):
        raise BadRigFile(
            f"two cameras share a name ({', '.join(rig.names)}); rename one", reason="given_twice"
        )
    try:
        RigFile.model_validate(content)  # never write what could not be read back
    except ValidationError as error:
        raise _refusal(error) from None
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def rig_from_yaml(text: str | bytes) -> Rig:
    """The rig a file describes.

    Raises:
        BadRigFile: not this format, unknown keys, a number that is not finite, a camera twice,
            aliases, or simply too large; `field` is the path, such as `/cameras/cam0/K/0/0`.
    """
    content = load_yaml(text)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise BadRigFile(
            f"the rig file must start with 'format: {FORMAT}', found {str(found)[:80]!r}; "
            "export the rig again, or import it in one of the other formats",
            field="/format",
        )
    try:
        parsed = RigFile.model_validate(content)
    except ValidationError as error:
        raise _refusal(error) from None
    return _rig_in(parsed)


class _Dumper(yaml.SafeDumper):
    """The safe dumper with rows of numbers on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    plain = all(isinstance(item, int | float | list) for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=plain)


_Dumper.add_representer(list, _represent_list)


def _refusal(error: ValidationError) -> BadRigFile:
    first = error.errors(include_url=False, include_context=False)[0]
    path = "/" + "/".join(str(part) for part in first["loc"] if part != "[key]")
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        reason = "unknown key; remove it or correct its spelling"
    elif first["type"] == "finite_number":
        reason = f"every number must be finite, found {first['input']}; calibrate or export again"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    word = "not_finite" if first["type"] == "finite_number" else None
    return BadRigFile(f"{path}: {reason}{more}", field=path, reason=word)


def _version() -> str:
    try:
        return importlib.metadata.version("quadglass")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"  # run from a checkout that was not installed


def _target_out(target: Target | None) -> dict[str, Any] | None:
    if target is None:
        return None
    return {
        "kind": target.kind,
        "inner_corners": list(target.inner_corners),
        "square_m": float(target.square_m),
    }


def _camera_out(camera: Camera) -> dict[str, Any]:
    source = camera.source
    block: dict[str, Any] = {
        "image_size": [int(side) for side in camera.size_px],
        "source": {
            "file": source.file,
            "crop_xywh": list(map(int, source.crop_xywh)) if source.crop_xywh else None,
            "scale": float(source.scale),
            "offset_px": [float(value) for value in source.offset_px],
        },
        "model": camera.model,
        "K": camera.K.tolist(),
        "distortion": camera.dist.tolist(),
        "R": camera.cam_from_world[:3, :3].tolist(),
        "t": camera.cam_from_world[:3, 3].tolist(),
    }
    if camera.sigma is not None:
        names = ("focal_px", "center_px", "rotation_rad", "translation_m")
        block["sigma"] = {name: float(getattr(camera.sigma, name)) for name in names}
    if camera.quality is not None:
        quality = camera.quality
        block["quality"] = {
            "rms_px": float(quality.rms_px),
            "p95_px": float(quality.p95_px),
            "views": int(quality.views),
            "corners": int(quality.corners),
            "coverage": float(quality.coverage),
            "depth_ratio": float(quality.depth_ratio),
        }
    return block


_STEREO_MATRICES = ("R", "t", "E", "F", "R1", "R2", "P1", "P2", "Q")


def _stereo_out(stereo: Stereo | None) -> dict[str, Any] | None:
    if stereo is None:
        return None
    matrices = {name: getattr(stereo, name).tolist() for name in _STEREO_MATRICES}
    return {
        "left": stereo.left,
        "right": stereo.right,
        **matrices,
        "epipolar_rms_px": float(stereo.epipolar_rms_px),
    }


def _rig_quality_out(quality: RigQuality | None) -> dict[str, Any] | None:
    if quality is None:
        return None
    names = ("rms_px", "chi2_dof", "cross_validation_px", "edge_error_mm")
    values = {name: getattr(quality, name) for name in names}
    block: dict[str, Any] = {k: float(v) for k, v in values.items() if v is not None}
    if quality.sigma_mm_at is not None:
        at = quality.sigma_mm_at
        block["sigma_mm_at"] = {"center": float(at.center), "worst": float(at.worst)}
    return block


def _verdict_out(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    findings = []
    for finding in verdict.findings:
        camera = {"camera": finding.camera} if finding.camera else {}
        findings.append(
            {"code": finding.code, **camera, "message": finding.message, "fix": finding.fix}
        )
    return {"grade": verdict.grade, "findings": findings}


def _rejected_out(rejected: Rejected) -> dict[str, Any]:
    partner = {"partner": rejected.partner} if rejected.partner else {}
    return {
        "camera": rejected.camera,
        "frame": rejected.frame,
        "reason": rejected.reason,
        "value": float(rejected.value),
        **partner,
    }


def _rig_in(file: RigFile) -> Rig:
    target = None
    if file.target is not None:
        columns, rows = file.target.inner_corners
        target = Target(file.target.kind, (columns, rows), file.target.square_m)
    quality = None
    if file.quality is not None:
        at = SigmaAt(**_values(file.quality.sigma_mm_at)) if file.quality.sigma_mm_at else None
        quality = RigQuality(**{**_values(file.quality), "sigma_mm_at": at})
    verdict = None
    if file.verdict is not None:
        findings = tuple(Finding(**_values(finding)) for finding in file.verdict.findings)
        verdict = Verdict(file.verdict.grade, findings)
    return Rig(
        name=file.rig.name,
        kind=file.rig.kind,
        reference=file.rig.reference,
        world=file.rig.world,
        cameras=tuple(_camera_in(name, block) for name, block in file.cameras.items()),
        created=file.created,
        target=target,
        stereo=_stereo_in(file.stereo) if file.stereo else None,
        links=tuple(Link(k.rig, np.array(k.this_from_other), k.rms_px) for k in file.links),
        quality=quality,
        verdict=verdict,
        rejected=tuple(Rejected(**_values(rejected)) for rejected in file.rejected),
    )


def _camera_in(name: str, block: CameraBlock) -> Camera:
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = block.R
    cam_from_world[:3, 3] = block.t
    return Camera(
        name=name,
        size_px=block.image_size,
        K=np.asarray(block.K, dtype=np.float64),
        dist=np.asarray(block.distortion, dtype=np.float64),
        cam_from_world=cam_from_world,
        model=block.model,
        source=Source(**_values(block.source)),
        sigma=CameraSigma(**_values(block.sigma)) if block.sigma else None,
        quality=CameraQuality(**_values(block.quality)) if block.quality else None,
    )


def _stereo_in(block: StereoBlock) -> Stereo:
    matrices: dict[str, F64] = {
        name: np.asarray(getattr(block, name), dtype=np.float64) for name in _STEREO_MATRICES
    }
    return Stereo(
        left=block.left, right=block.right, epipolar_rms_px=block.epipolar_rms_px, **matrices
    )


def _values(block: BaseModel) -> Mapping[str, Any]:
    return {name: getattr(block, name) for name in type(block).model_fields}
