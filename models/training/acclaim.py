"""Joint places out of Acclaim files, as CMU publishes them: skeletons (ASF), motions (AMC)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

__all__ = ["AcclaimBone", "acclaim_places", "read_asf"]

F64: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AcclaimBone:
    """A rigid bone; it begins where its parent ends."""

    parent: str
    step: F64  # (3,) from its beginning to its end at rest, the file's axes and lengths
    axes: F64  # (3, 3) rest_from_bone: the axes that its angles turn about
    turns: tuple[str, ...]  # subset of rx, ry, rz, in the order of the motion file


def read_asf(path: Path) -> dict[str, AcclaimBone]:
    """The bones of a skeleton, parents first; the root is no bone."""
    head, _, hierarchy = path.read_text(encoding="utf-8").partition(":hierarchy")
    parents = {}
    for line in hierarchy.splitlines():
        parent, *children = line.split() or [""]
        parents.update(dict.fromkeys(children, parent))
    described = {}
    for block in head.partition(":bonedata")[2].split("begin")[1:]:
        lines = [line.split() for line in block.splitlines() if line.strip()]
        words = {line[0]: line[1:] for line in lines}
        direction = np.asarray(words["direction"][:3], dtype=np.float64)
        angles = np.asarray(words["axis"][:3], dtype=np.float64)
        described[words["name"][0]] = AcclaimBone(
            parent=parents[words["name"][0]],
            step=direction * float(words["length"][0]),
            axes=np.asarray(Rotation.from_euler("xyz", angles, degrees=True).as_matrix()),
            turns=tuple(words.get("dof", ())),
        )
    return {name: described[name] for name in parents if name in described}


def acclaim_places(bones: Mapping[str, AcclaimBone], motion: Path) -> dict[str, F64]:
    """Where bones end in every frame of a motion file.

    Args:
        bones: of the skeleton that the motion belongs to.
        motion: an AMC file in degrees.

    Returns:
        By name of the bone (F, 3), the file's axes and lengths; ``root`` is where the trunk begins.
    """
    values = _values(motion)
    root = values["root"]  # (F, 6): place, then angles about x, y, z
    places = {"root": root[:, :3]}
    turned = {"root": _turn(root[:, 3:], ("rx", "ry", "rz"))}
    for name, bone in bones.items():
        above = turned[bone.parent]  # (F, 3, 3)
        turned[name] = above
        if name in values:
            turned[name] = above @ bone.axes @ _turn(values[name], bone.turns) @ bone.axes.T
        places[name] = places[bone.parent] + turned[name] @ bone.step
    return places


def _values(motion: Path) -> dict[str, F64]:
    """By bone (F, degrees of freedom)."""
    rows: dict[str, list[list[float]]] = {}
    for line in motion.read_text(encoding="utf-8").splitlines():
        name, *numbers = line.split()
        if numbers and not name.startswith(("#", ":")):
            rows.setdefault(name, []).append([float(number) for number in numbers])
    return {name: np.asarray(row) for name, row in rows.items()}


def _turn(degrees: F64, turns: tuple[str, ...]) -> F64:
    """(F, 3, 3) turned about fixed x, then y, then z."""
    angles = np.zeros((len(degrees), 3))
    for column, turn in enumerate(turns):
        angles[:, "xyz".index(turn[1])] = degrees[:, column]
    return np.asarray(Rotation.from_euler("xyz", angles, degrees=True).as_matrix())
