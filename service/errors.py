"""What the service refuses, and the only table from an error to an HTTP status.

    ServiceError
    ├── Malformed            the request cannot be parsed
    ├── KeyMissing           no API key, or one nobody was given
    ├── NotAllowed           a key without the scope, or a page of another origin
    ├── NotFound             nothing of that name
    ├── Conflict             what exists stands in the way
    │   ├── NotCalibrated    the rig has no active calibration
    │   └── Exists           the name is taken
    ├── TooLarge             over a limit
    │   ├── BodyTooLarge     more bytes than a request may have
    │   └── TooManyPixels    a picture that would decode to more than the limit
    ├── Unsupported          not of a kind that the service reads
    │   ├── WrongMediaType   the body is not what the endpoint takes
    │   └── NotAnImage       bytes that are no JPEG, PNG, WebP, BMP or TIFF
    ├── Unusable             well formed, but nothing can be done with it
    │   ├── BadName          a name outside the allowed pattern
    │   ├── BadValue         a field outside its range
    │   ├── BrokenImage      a picture that is cut off or does not decode
    │   ├── NoViews          a frame set without a picture
    │   ├── BadUpload        a zip or video that is unsafe or unreadable
    │   └── BadIdentity      an Idempotency-Key used for another request
    ├── QueueFull            too much waits already (`retry_after_s`)
    ├── NotReady             no warmed-up worker, or shutting down
    ├── DeadlinePassed       the answer would have come too late
    ├── WorkerLost           every worker that took the frame set died
    ├── BadSettings          a setting is unknown or out of range
    └── UnsafeListen         an open address without keys

Every message says what was wrong, with numbers, and what to do next. `code` is a stable word for
programs; `field` is the form field or JSON pointer at fault, `camera` the camera.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from calibration import errors as calibration_errors
from capture import errors as capture_errors
from models import errors as model_errors

from .refusals import (
    BadIdentity,
    BadName,
    BadSettings,
    BadUpload,
    BadValue,
    BodyTooLarge,
    BrokenImage,
    Conflict,
    DeadlinePassed,
    Exists,
    KeyMissing,
    Malformed,
    NotAllowed,
    NotAnImage,
    NotCalibrated,
    NotFound,
    NotReady,
    NoViews,
    QueueFull,
    ServiceError,
    TooLarge,
    TooManyPixels,
    UnsafeListen,
    Unsupported,
    Unusable,
    WorkerLost,
    WrongMediaType,
)

__all__ = [
    "INTERNAL",
    "ROOTS",
    "STATUS",
    "BadIdentity",
    "BadName",
    "BadSettings",
    "BadUpload",
    "BadValue",
    "BodyTooLarge",
    "BrokenImage",
    "Conflict",
    "DeadlinePassed",
    "Exists",
    "KeyMissing",
    "Malformed",
    "NoViews",
    "NotAllowed",
    "NotAnImage",
    "NotCalibrated",
    "NotFound",
    "NotReady",
    "QueueFull",
    "ServiceError",
    "TooLarge",
    "TooManyPixels",
    "UnsafeListen",
    "Unsupported",
    "Unusable",
    "WorkerLost",
    "WrongMediaType",
    "code_of",
    "from_wire",
    "status_of",
]


# The most specific class wins: `CalibrationError` stands for all of its kind that are not named.
STATUS: Mapping[type[Exception], int] = MappingProxyType(
    {
        Malformed: 400,
        KeyMissing: 401,
        NotAllowed: 403,
        NotFound: 404,
        Conflict: 409,
        TooLarge: 413,
        Unsupported: 415,
        Unusable: 422,
        calibration_errors.CalibrationError: 422,
        capture_errors.CaptureError: 422,
        QueueFull: 429,
        WorkerLost: 500,
        NotReady: 503,
        model_errors.ModelError: 503,  # weights missing or damaged
        model_errors.BadImage: 422,
        DeadlinePassed: 504,
    }
)
INTERNAL = 500


def status_of(error: Exception) -> int:
    """The HTTP status of an error; 500 for one that nobody foresaw."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return INTERNAL


def code_of(error: Exception) -> str:
    """The stable word for an error; `internal` for one that nobody foresaw."""
    for kind in type(error).__mro__:
        if kind in STATUS or kind in ROOTS:
            return str(getattr(error, "code", None) or _snake(type(error).__name__))
    return "internal"


def from_wire(
    code: str, message: str, *, field: str | None = None, camera: str | None = None
) -> Exception:
    """The error that another process answered with, as an exception of the same kind."""
    kind = _KINDS.get(code)
    if kind is None or issubclass(kind, QueueFull):
        return RuntimeError(message)
    error = kind(message)
    if field is not None:
        vars(error)["field"] = field
    if camera is not None:
        vars(error)["camera"] = camera
    return error


def _family(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


ROOTS: tuple[type[Exception], ...] = (
    ServiceError,
    calibration_errors.CalibrationError,
    capture_errors.CaptureError,
    model_errors.ModelError,
)
_KINDS: Mapping[str, type[Exception]] = MappingProxyType(
    {
        vars(kind).get("code") or _snake(kind.__name__): kind
        for root in ROOTS
        for kind in _family(root)
    }
)
