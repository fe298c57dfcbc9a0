"""What every reader of another tool's file needs: real numbers, and a rig that is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..camera import F64, Camera
from ..errors import BadRigFile
from ..rig import Rig, RigKind
from ..rig_file import rig_from_yaml, rig_to_yaml

# The largest thing a camera has is a 4x4 matrix.
_MAX_NUMBERS = 64


def imported_rig(name: str, cameras: Sequence[Camera]) -> Rig:
    """A rig of imported cameras, put through the same checks as a file of ours.

    Raises:
        BadRigFile: a name, matrix or size that our format refuses.
    """
    kinds: dict[int, RigKind] = {2: "stereo", 4: "quad"}
    rig = Rig(
        name=name,
        kind=kinds.get(len(cameras), "multi"),
        reference=cameras[0].name,
        world="imported",
        cameras=tuple(cameras),
    )
    return rig_from_yaml(rig_to_yaml(rig))


def numbers(value: Any, field: str, *, size: int | None = None) -> F64:
    """(N,) the finite numbers in a value of lists.

    Raises:
        BadRigFile: not numbers, or not `size` of them.
    """
    try:
        array = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        array = np.empty(0)
    if not 1 <= array.size <= _MAX_NUMBERS or (size is not None and array.size != size):
        raise BadRigFile(
            f"{field} holds {array.size} numbers, {size or 'some'} are wanted; export it again",
            field=f"/{field}",
        )
    if not np.isfinite(array).all():
        raise BadRigFile(
            f"{field} has a number that is not finite", field=f"/{field}", reason="not_finite"
        )
    return array
