"""A frame's result as JSON and back (DESIGN.md section 4).

Missing is `null` in JSON and NaN inside. Numbers are rounded where the measurement is long silent:
10 um, 0.01 px, 1e-4 of a score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np

from models.sighting import Sighting
from models.skeleton import COCO17, Skeleton

from .errors import BadResult
from .people import F64, Frame, JointSource, Person

__all__ = ["SKELETONS", "frame_from_json", "frame_to_json"]

SKELETONS: Mapping[str, Skeleton] = {COCO17.name: COCO17}
_SOURCES = frozenset(get_args(JointSource))


def frame_to_json(frame: Frame) -> dict[str, Any]:
    """The frame as JSON-able values: plain dicts, lists, strings, finite numbers and None."""
    names = _skeleton(frame.skeleton).joints
    result: dict[str, Any] = {
        "rig": frame.rig,
        "calibration": frame.calibration,
        "capture": frame.capture,
        "sequence": frame.sequence,
        "timestamp_ns": frame.timestamp_ns,
        "units": "m",
        "skeleton": frame.skeleton,
        "model": dict(frame.model),
        "people": [_person_to_json(person, names) for person in frame.people],
        "single_view": {
            camera: [_sighting_to_json(sighting, names) for sighting in sightings]
            for camera, sightings in frame.single_view.items()
        },
        "timings_ms": {step: round(float(ms), 3) for step, ms in frame.timings_ms.items()},
    }
    if frame.posted is not None:
        result["posted"] = list(frame.posted)
    return result


def frame_from_json(obj: object) -> Frame:
    """The frame that `frame_to_json` wrote.

    Raises:
        BadResult: a key is missing, has another type, or the unit or skeleton is not ours.
    """
    if not isinstance(obj, Mapping):
        raise BadResult(f"a frame result is a JSON object, not {type(obj).__name__}")
    if obj.get("units") != "m":
        raise BadResult(f"units are {obj.get('units')!r}, need 'm'", field="units")
    try:
        skeleton = _skeleton(str(obj["skeleton"]))
        return Frame(
            rig=str(obj["rig"]),
            calibration=str(obj["calibration"]),
            capture=str(obj["capture"]),
            sequence=int(obj["sequence"]),
            timestamp_ns=int(obj["timestamp_ns"]),
            skeleton=skeleton.name,
            model={str(key): str(value) for key, value in obj["model"].items()},
            people=tuple(_person_from_json(person, skeleton.joints) for person in obj["people"]),
            single_view={
                str(camera): tuple(_sighting_from_json(item, skeleton.joints) for item in items)
                for camera, items in obj.get("single_view", {}).items()
            },
            timings_ms={str(key): float(ms) for key, ms in obj.get("timings_ms", {}).items()},
            posted=None if obj.get("posted") is None else tuple(map(str, obj["posted"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BadResult(
            f"not a frame result ({type(error).__name__}: {error}); "
            "send what this service wrote, unchanged"
        ) from error


def _skeleton(name: str) -> Skeleton:
    if name not in SKELETONS:
        known = ", ".join(SKELETONS)
        raise BadResult(f"skeleton {name!r} is not known; use one of {known}", field="skeleton")
    return SKELETONS[name]


def _person_to_json(person: Person, names: Sequence[str]) -> dict[str, Any]:
    joints = [
        {
            "name": name,
            "position": _rounded(person.positions[j], 5),
            "sigma_mm": _number(person.sigma_mm[j], 2),
            "score": _number(person.scores[j], 4),
            "views": int(person.views[j]),
            "reprojection_px": _number(person.reprojection_px[j], 2),
            "source": person.sources[j],
        }
        for j, name in enumerate(names)
    ]
    return {
        "id": person.id,
        "score": _number(person.score, 4),
        "plausibility": _number(person.plausibility, 3),
        "joints": joints,
        "views": {
            camera: _sighting_to_json(sighting, names)
            | ({"sides_swapped": True} if camera in person.swapped else {})
            for camera, sighting in person.sightings.items()
        },
    }


def _person_from_json(obj: Mapping[str, Any], names: Sequence[str]) -> Person:
    joints = {joint["name"]: joint for joint in obj["joints"]}
    ordered = [joints[name] for name in names]
    sources = [str(joint["source"]) for joint in ordered]
    unknown = set(sources) - _SOURCES
    if unknown:
        raise ValueError(f"joint source {sorted(unknown)[0]!r}")
    return Person(
        id=int(obj["id"]),
        score=float(obj["score"]),
        positions=np.array([_vector(joint["position"], 3) for joint in ordered]),
        sigma_mm=_column(ordered, "sigma_mm"),
        scores=np.nan_to_num(_column(ordered, "score")),
        views=np.array([int(joint["views"]) for joint in ordered], dtype=np.int64),
        reprojection_px=_column(ordered, "reprojection_px"),
        sources=cast(tuple[JointSource, ...], tuple(sources)),
        sightings={
            str(camera): _sighting_from_json(view, names) for camera, view in obj["views"].items()
        },
        swapped=tuple(camera for camera, view in obj["views"].items() if view.get("sides_swapped")),
        plausibility=float("nan" if obj.get("plausibility") is None else obj["plausibility"]),
    )


def _sighting_to_json(sighting: Sighting, names: Sequence[str]) -> dict[str, Any]:
    rows = np.round(sighting.joints_px, 2).tolist()
    scores = np.round(sighting.scores, 4).tolist()
    seen = [bool(np.isfinite(row).all()) for row in sighting.joints_px]
    result: dict[str, Any] = {
        "score": _number(sighting.score, 4),
        "joints_px": [
            [*row, score] if ok else None for row, score, ok in zip(rows, scores, seen, strict=True)
        ],
    }
    inferred = [name for name, filled in zip(names, sighting.inferred, strict=True) if filled]
    if inferred:
        result["inferred"] = inferred
    return result


def _sighting_from_json(obj: Mapping[str, Any], names: Sequence[str]) -> Sighting:
    rows = np.array([_vector(row, 3) for row in obj["joints_px"]]).reshape(-1, 3)
    if len(rows) != len(names):
        raise ValueError(f"{len(rows)} joints in a view, need {len(names)}")
    inferred = set(obj.get("inferred", ()))
    return Sighting(
        joints_px=np.ascontiguousarray(rows[:, :2]),
        scores=np.nan_to_num(rows[:, 2]),
        score=float(obj["score"]),
        inferred=np.array([name in inferred for name in names], dtype=np.bool_),
    )


def _number(value: float | np.float64, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None


def _rounded(vector: F64, digits: int) -> list[float] | None:
    return np.round(vector, digits).tolist() if np.isfinite(vector).all() else None


def _vector(values: Sequence[float] | None, length: int) -> list[float]:
    if values is None:
        return [float("nan")] * length
    if len(values) != length:
        raise ValueError(f"{len(values)} numbers where {length} belong")
    return [float(value) for value in values]


def _column(joints: Sequence[Mapping[str, Any]], key: str) -> F64:
    return np.array([np.nan if joint[key] is None else float(joint[key]) for joint in joints])
