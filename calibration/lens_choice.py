"""What is wished of a camera's lens: its model, and what of it is known and stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .camera import F64
from .errors import BadInput
from .projection import MODELS, N_INTRINSICS, LensModel, model_of, pack

__all__ = [
    "PARTS",
    "LensChoice",
    "LensPart",
    "check_words",
    "first_numbers",
    "free_numbers",
    "parse_fixed",
    "parse_models",
]

# `aspect` keeps fy / fx and lets their size be found.
LensPart = Literal["focal", "aspect", "center", "distortion"]
PARTS: tuple[LensPart, ...] = get_args(LensPart)
WHOLE: frozenset[LensPart] = frozenset(("focal", "center", "distortion"))


@dataclass(frozen=True, slots=True)
class LensChoice:
    """One camera's lens before anything was measured."""

    model: LensModel = "pinhole5"
    known: tuple[F64, F64] | None = None  # K (3, 3) and coefficients
    # What is not solved for. Of a known lens it stays as it is; otherwise the centre is the
    # picture's middle, the aspect one, the distortion none.
    fixed: frozenset[LensPart] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether nothing of the lens is left to find."""
        return self.fixed >= WHOLE


def first_numbers(choice: LensChoice, size_px: tuple[int, int], focal_px: float) -> F64:
    """(12,) the known lens, or one without distortion that looks through the picture's middle."""
    if choice.known is not None:
        return pack(*choice.known)
    lens = np.zeros(N_INTRINSICS)
    lens[:4] = focal_px, focal_px, (size_px[0] - 1) / 2.0, (size_px[1] - 1) / 2.0
    return lens


def free_numbers(choice: LensChoice, coefficients: int) -> NDArray[np.bool_]:
    """(12,) which numbers of the lens are solved for.

    Args:
        choice: what is wished.
        coefficients: how many of the model's the views can tell.
    """
    free = np.zeros(N_INTRINSICS, dtype=bool)
    free[:2] = "focal" not in choice.fixed
    if "aspect" in choice.fixed:
        free[1] = False  # fy follows fx, see `normal_equations.py`
    free[2:4] = "center" not in choice.fixed
    free[4 : 4 + coefficients] = "distortion" not in choice.fixed
    return free


def parse_models(
    words: Sequence[str], cameras: Sequence[str], default: LensModel = "pinhole5"
) -> dict[str, LensModel]:
    """The model of every camera's lens.

    Args:
        words: `fisheye` for all, `cam0:pinhole8` for one.
        cameras: names.
        default: of those that no word names.

    Raises:
        BadInput: a word that is not understood.
    """
    models = dict.fromkeys(cameras, default)
    for name, word in sorted(_by_camera(words, cameras, "lens"), key=lambda item: item[0] != ""):
        model = next((known for known in MODELS if known == word), None)
        if model is None:
            raise BadInput(
                f"the lens model {word[:40]!r} is not one of {', '.join(MODELS)}; write fisheye, "
                "or cam0:fisheye for one camera",
                field="/lens",
            )
        models.update(dict.fromkeys([name] if name else cameras, model))
    return models


def parse_fixed(words: Sequence[str], cameras: Sequence[str]) -> dict[str, frozenset[LensPart]]:
    """What is fixed of every camera's lens.

    Args:
        words: `center` for all cameras, `cam0:distortion` for one; they add up.
        cameras: names.

    Raises:
        BadInput: a word that is not understood.
    """
    fixed: dict[str, frozenset[LensPart]] = dict.fromkeys(cameras, frozenset())
    for name, word in _by_camera(words, cameras, "fix"):
        part = next((known for known in PARTS if known == word), None)
        if part is None:
            raise BadInput(
                f"{word[:40]!r} is no part of a lens; fixed can be {', '.join(PARTS)}, of one "
                "camera as cam0:center",
                field="/fix",
            )
        for camera in [name] if name else cameras:
            fixed[camera] |= {part}
    return fixed


def check_words(models: Sequence[str], fixed: Sequence[str]) -> None:
    """Nothing, if the words are understood, whatever the cameras are called.

    Raises:
        BadInput: a word that is not understood.
    """
    for words, parse in ((models, parse_models), (fixed, parse_fixed)):
        parse(words, [word.strip().rpartition(":")[0] for word in words if ":" in word])


def check_choice(camera: str, choice: LensChoice) -> None:
    """Nothing, if the wishes fit together.

    Raises:
        BadInput: they do not.
    """
    if choice.known is None:
        if "focal" in choice.fixed:
            raise BadInput(
                f"the focal length of {camera!r} is to stay but is not known; give the lens too, "
                "or let it be found",
                camera=camera,
                field="/fix",
            )
        return
    known = model_of(choice.known[1])
    longer = (known, choice.model) == ("pinhole5", "pinhole8")
    if known != choice.model and not (longer and "distortion" not in choice.fixed):
        raise BadInput(
            f"the known lens of {camera!r} is a {known}, asked for is {choice.model}; choose the "
            "model of the known lens, or let the lens be calibrated",
            camera=camera,
            field="/lens",
        )


def _by_camera(words: Sequence[str], cameras: Sequence[str], field: str) -> list[tuple[str, str]]:
    out = []
    for word in words:
        name, _, value = word.strip().rpartition(":")
        if name and name not in cameras:
            raise BadInput(
                f"{word[:80]!r} names camera {name[:40]!r}; the cameras are {', '.join(cameras)}",
                field=f"/{field}",
            )
        out.append((name, value))
    return out
