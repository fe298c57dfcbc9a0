"""Numbers, names and matrices as a rig file may hold them, for pydantic's models."""

from __future__ import annotations

import re
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

# Six decimals of a rotation matrix leave 2e-6; a mirrored or scaled matrix is off by far more.
ROTATION_TOLERANCE = 1e-4
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def no_bool(value: Any) -> Any:
    """The value, which YAML may not have made of `yes` or `true` where a number stands."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not true or false")
    return value


def check_name(name: str) -> str:
    """The name, if it can stand as a file name and a form field.

    Raises:
        ValueError: it cannot.
    """
    if not NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            f"{name[:80]!r} is not a name: use 1 to 64 letters, digits, '_', '-' or '.', "
            "starting with a letter or digit, without '..'"
        )
    return name


Number = Annotated[float, BeforeValidator(no_bool), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[int, BeforeValidator(no_bool), Field(ge=0)]
Name = Annotated[str, AfterValidator(check_name)]
Vector3 = Annotated[list[Number], Field(min_length=3, max_length=3)]
Matrix33 = Annotated[list[Vector3], Field(min_length=3, max_length=3)]
Row4 = Annotated[list[Number], Field(min_length=4, max_length=4)]
Matrix34 = Annotated[list[Row4], Field(min_length=3, max_length=3)]
Matrix44 = Annotated[list[Row4], Field(min_length=4, max_length=4)]
Pixels = Annotated[int, BeforeValidator(no_bool), Field(ge=1, le=65535)]


def check_rotation(rows: list[list[float]]) -> list[list[float]]:
    """The rows of a matrix, if it turns.

    Raises:
        ValueError: it mirrors, scales or shears.
    """
    matrix = np.asarray(rows)
    off = float(np.abs(matrix @ matrix.T - np.eye(3)).max())
    if off > ROTATION_TOLERANCE or np.linalg.det(matrix) < 0:
        raise ValueError(
            f"not a rotation: rows are off orthonormal by {off:.2g}, determinant "
            f"{np.linalg.det(matrix):.4g}; it must turn, not mirror, scale or shear"
        )
    return rows


Rotation = Annotated[Matrix33, AfterValidator(check_rotation)]
