"""What a calibration may be told, and whether it fits the footage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .camera import F64
from .errors import BadFootage, BadInput, UnknownCamera
from .lens_choice import WHOLE, LensChoice, LensPart, check_choice, parse_models
from .projection import LensModel, model_of
from .rig import Rig, RigKind

__all__ = [
    "DEFAULTS",
    "CalibrateSettings",
    "check_lens_sizes",
    "check_settings",
    "kind_of",
    "lenses_in",
    "models_of",
]


@dataclass(frozen=True, slots=True)
class CalibrateSettings:
    """What a calibration may be told. Empty or None: decided from the footage."""

    name: str = "rig"
    kind: RigKind | None = None  # by the number of cameras
    reference: str | None = None  # the first camera
    world: Literal["reference", "board", "floor"] = "reference"
    world_moment: str | None = None  # whose board is the world; the one most cameras saw
    # K and coefficients; kept as they are, or, where `fixed` names parts, as far as those
    known_lenses: Mapping[str, tuple[F64, F64]] = field(default_factory=dict)
    # (width, height) that the known lenses are for, where that is known
    known_sizes_px: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    # Two cameras and the metres measured between their lenses: the scale is checked by them
    distances: tuple[tuple[str, str, float], ...] = ()
    # Per camera; a camera that is not named has five coefficients, or its known lens' model
    models: Mapping[str, LensModel] = field(default_factory=dict)
    fixed: Mapping[str, frozenset[LensPart]] = field(default_factory=dict)
    bend: bool = False  # the board may be bent: how far is solved for
    moments: int = 80  # of a video, at most: beyond, more views add little
    workers: int = 1  # pictures looked at side by side

    def lens_choice(self, camera: str) -> LensChoice:
        """What is wished of one camera's lens."""
        known = self.known_lenses.get(camera)
        fixed = self.fixed.get(camera, frozenset())
        model = self.models.get(camera, "pinhole5" if known is None else model_of(known[1]))
        if known is not None and not fixed:
            fixed = WHOLE
        return LensChoice(model, known, fixed)


DEFAULTS = CalibrateSettings()


def lenses_in(
    rig: Rig, cameras: Sequence[str]
) -> tuple[dict[str, tuple[F64, F64]], dict[str, tuple[int, int]]]:
    """`known_lenses` and `known_sizes_px` of those cameras that the rig has.

    Raises:
        UnknownCamera: the rig has none of them.
    """
    found = [camera for camera in rig.cameras if camera.name in cameras]
    if not found:
        raise UnknownCamera(
            f"the lenses are of {', '.join(rig.names)}, the footage is of {', '.join(cameras)}; "
            "name the cameras alike in both"
        )
    lenses = {camera.name: (camera.K, camera.dist) for camera in found}
    return lenses, {camera.name: camera.size_px for camera in found}


def models_of(
    words: Sequence[str], cameras: Sequence[str], known: Mapping[str, tuple[F64, F64]]
) -> dict[str, LensModel]:
    """The model of each camera's lens by words such as `fisheye` and `cam0:pinhole8`.

    A camera that no word names keeps the model of its known lens, or has five coefficients.

    Raises:
        BadInput: a word that is not understood.
    """
    if not words:
        return {}
    named = parse_models(words, cameras)
    every = any(":" not in word for word in words)
    return {
        name: model
        for name, model in named.items()
        if every or name not in known or any(word.startswith(f"{name}:") for word in words)
    }


def check_settings(settings: CalibrateSettings, cameras: Sequence[str]) -> None:
    """Nothing, if these cameras can be calibrated as the settings say.

    Raises:
        BadFootage: too few cameras, or not as many as the kind of rig has.
        UnknownCamera: the reference camera is not among them.
        BadInput: a lens that cannot be used, or a distance between cameras that are not there.
    """
    if len(cameras) < 2:
        raise BadFootage(
            f"a rig needs at least two cameras, the footage has {len(cameras)} "
            f"({', '.join(cameras) or 'none'}); for one camera calibrate its lens only"
        )
    if settings.reference is not None and settings.reference not in cameras:
        raise UnknownCamera(
            f"the reference camera {settings.reference!r} is not one of {', '.join(cameras)}",
            camera=settings.reference,
        )
    named = {*settings.known_lenses, *settings.models, *settings.fixed}
    for name in sorted(named):
        if name not in cameras:
            raise BadInput(
                f"something is said of the lens of {name!r}; the cameras are {', '.join(cameras)}",
                camera=name,
            )
        check_choice(name, settings.lens_choice(name))
    for first, second, metres in settings.distances:
        if not {first, second} <= set(cameras) or first == second or not metres > 0:
            raise BadInput(
                f"the distance {first}:{second} of {metres:g} m is not between two of the cameras "
                f"{', '.join(cameras)}; give it as CAMERA:CAMERA:METRES",
            )
    wanted = {"stereo": 2, "quad": 4}.get(settings.kind or "", len(cameras))
    if wanted != len(cameras):
        raise BadFootage(
            f"a {settings.kind} rig has {wanted} cameras, the footage {len(cameras)} "
            f"({', '.join(cameras)}); choose the kind 'multi' or correct the folder"
        )


def check_lens_sizes(settings: CalibrateSettings, sizes_px: Mapping[str, tuple[int, int]]) -> None:
    """Nothing, if the known lenses are for pictures of these sizes.

    Raises:
        BadInput: a lens for pictures of another size.
    """
    for name, known in settings.known_sizes_px.items():
        size = sizes_px.get(name, known)
        if size != known:
            raise BadInput(
                f"the known lens of {name!r} is for pictures of {known[0]}x{known[1]}, the footage "
                f"is {size[0]}x{size[1]}; give the lens of this resolution and crop, or let it be "
                "calibrated",
                camera=name,
                reason="size_changed",
            )


def kind_of(settings: CalibrateSettings, cameras: Sequence[str]) -> RigKind:
    """The kind asked for, or by the number of cameras."""
    if settings.kind is not None:
        return settings.kind
    return "stereo" if len(cameras) == 2 else "quad" if len(cameras) == 4 else "multi"
