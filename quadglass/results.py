"""Results as small objects; what is not in them is in `document`, as the service sent it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Joint", "Person", "PictureResult", "Result", "ViewPerson"]

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Joint:
    """One joint of a person in 3D."""

    name: str
    position: Point | None  # metres in the rig's world; None says why in `source`
    sigma_mm: float | None  # one standard deviation per axis
    score: float  # 0 to 1
    views: int  # that made the point
    reprojection_px: float | None
    source: str  # triangulated, completed or predicted; without a position the reason


@dataclass(frozen=True, slots=True)
class ViewPerson:
    """One person in one picture."""

    score: float
    joints_px: tuple[Point | None, ...]  # (x, y, score) in the posted picture's pixels
    inferred: tuple[str, ...] = ()  # joints that no peak stands behind


@dataclass(frozen=True, slots=True)
class Person:
    """One person in 3D."""

    id: int  # stays with the person through a capture; -1 without a capture
    score: float
    plausibility: float | None
    joints: tuple[Joint, ...]
    views: Mapping[str, ViewPerson]

    def joint(self, name: str) -> Joint:
        """The joint of that name.

        Raises:
            KeyError: the skeleton has none of that name.
        """
        for joint in self.joints:
            if joint.name == name:
                return joint
        raise KeyError(f"{name!r}; the joints are {', '.join(joint.name for joint in self.joints)}")


@dataclass(frozen=True, slots=True)
class Result:
    """What a frame set showed."""

    rig: str
    capture: str | None
    sequence: int | None
    timestamp_ns: int
    people: tuple[Person, ...]
    single_view: Mapping[str, tuple[ViewPerson, ...]]  # by camera: whom only one camera saw
    document: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PictureResult:
    """What one picture showed."""

    size_px: tuple[int, int]
    people: tuple[ViewPerson, ...]
    document: Mapping[str, Any] = field(repr=False)


def result_of(document: Mapping[str, Any]) -> Result:
    """A frame set's result from its JSON."""
    return Result(
        rig=document["rig"],
        capture=document["capture"],
        sequence=document["sequence"],
        timestamp_ns=document["timestamp_ns"],
        people=tuple(_person(person) for person in document["people"]),
        single_view={
            camera: tuple(_view_person(person) for person in people)
            for camera, people in document["single_view"].items()
        },
        document=document,
    )


def picture_result_of(document: Mapping[str, Any]) -> PictureResult:
    """A picture's result from its JSON."""
    width, height = document["size_px"]
    people = tuple(_view_person(person) for person in document["people"])
    return PictureResult((width, height), people, document)


def _person(document: Mapping[str, Any]) -> Person:
    return Person(
        id=document["id"],
        score=document["score"],
        plausibility=document.get("plausibility"),
        joints=tuple(_joint(joint) for joint in document["joints"]),
        views={camera: _view_person(view) for camera, view in document["views"].items()},
    )


def _joint(document: Mapping[str, Any]) -> Joint:
    return Joint(
        name=document["name"],
        position=_point(document["position"]),
        sigma_mm=document.get("sigma_mm"),
        score=document["score"],
        views=document["views"],
        reprojection_px=document.get("reprojection_px"),
        source=document["source"],
    )


def _view_person(document: Mapping[str, Any]) -> ViewPerson:
    return ViewPerson(
        score=document["score"],
        joints_px=tuple(_point(joint) for joint in document["joints_px"]),
        inferred=tuple(document.get("inferred", ())),
    )


def _point(values: Any) -> Point | None:
    if values is None:
        return None
    x, y, z = values
    return float(x), float(y), float(z)
