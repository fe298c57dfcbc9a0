"""`cam01=a.mp4 cam02=b.mp4`: a path for each camera, as the commands take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from calibration.rig import Rig

from ..errors import BadValue

__all__ = ["named_paths", "only_cameras_of"]


def named_paths(words: Sequence[str]) -> dict[str, Path]:
    """Camera name to path, in the order given.

    Raises:
        BadValue: a word is not `camera=path`, names a camera twice, or the path is not there.
    """
    paths: dict[str, Path] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            raise BadValue(f"{word!r} is not camera=path; write for example cam01={word}")
        if name in paths:
            raise BadValue(f"camera {name!r} is given twice, {paths[name]} and {text}; leave one")
        path = Path(text)
        if not path.exists():
            raise BadValue(f"camera {name!r}: {text} is not there; correct the path")
        paths[name] = path
    return paths


def only_cameras_of(rig: Rig, paths: Mapping[str, Path], *, at_least: int = 2) -> None:
    """Nothing, if every name is a camera of the rig and there are enough of them.

    Raises:
        UnknownCamera: a name that the rig does not have.
        BadValue: fewer cameras than are needed for a position in space.
    """
    for name in paths:
        rig.camera(name)
    if len(paths) < at_least:
        raise BadValue(
            f"{len(paths)} camera(s) given, need {at_least} for positions in space; "
            f"the rig has {', '.join(rig.names)}"
        )
