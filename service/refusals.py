"""What the service refuses: one class for each kind (`errors.py` has their tree and statuses)."""

from __future__ import annotations

__all__ = [
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
]


class ServiceError(Exception):
    """Base of everything this folder raises on purpose."""

    code = "service_error"

    def __init__(self, message: str, *, field: str | None = None, camera: str | None = None):
        super().__init__(message)
        self.field = field
        self.camera = camera


class Malformed(ServiceError):
    """The request cannot be parsed."""

    code = "malformed"


class KeyMissing(ServiceError):
    """No API key, or one that nobody was given."""

    code = "key_missing"


class NotAllowed(ServiceError):
    """A key without the needed scope, or a page of another origin."""

    code = "not_allowed"


class NotFound(ServiceError):
    """Nothing of that name."""

    code = "not_found"


class Conflict(ServiceError):
    """What exists stands in the way."""

    code = "conflict"


class NotCalibrated(Conflict):
    """The rig has no active calibration."""

    code = "not_calibrated"


class Exists(Conflict):
    """The name is taken."""

    code = "exists"


class TooLarge(ServiceError):
    """Over a limit."""

    code = "too_large"


class BodyTooLarge(TooLarge):
    """More bytes than a request may have."""

    code = "body_too_large"


class TooManyPixels(TooLarge):
    """A picture that would decode to more pixels than the limit."""

    code = "too_many_pixels"


class Unsupported(ServiceError):
    """Not of a kind that the service reads."""

    code = "unsupported"


class WrongMediaType(Unsupported):
    """The body is not what the endpoint takes."""

    code = "wrong_media_type"


class NotAnImage(Unsupported):
    """Bytes that are no JPEG, PNG, WebP, BMP or TIFF."""

    code = "not_an_image"


class Unusable(ServiceError):
    """Well formed, but nothing can be done with it."""

    code = "unusable"


class BadName(Unusable):
    """A name outside the allowed pattern."""

    code = "bad_name"


class BadValue(Unusable):
    """A field outside its range."""

    code = "bad_value"


class BrokenImage(Unusable):
    """A picture that is cut off or does not decode."""

    code = "broken_image"


class NoViews(Unusable):
    """A frame set without a picture."""

    code = "no_views"


class BadUpload(Unusable):
    """A zip or video that is unsafe or unreadable."""

    code = "bad_upload"


class BadIdentity(Unusable):
    """An Idempotency-Key that was used for another request."""

    code = "bad_identity"


class QueueFull(ServiceError):
    """Too much waits already; come back after `retry_after_s`."""

    code = "queue_full"

    def __init__(self, message: str, *, retry_after_s: float):
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReady(ServiceError):
    """No warmed-up worker, or shutting down."""

    code = "not_ready"


class DeadlinePassed(ServiceError):
    """The answer would have come too late."""

    code = "deadline_passed"


class WorkerLost(ServiceError):
    """Every worker that took the frame set died."""

    code = "worker_lost"


class BadSettings(ServiceError):
    """A setting is unknown or out of range."""

    code = "bad_settings"


class UnsafeListen(ServiceError):
    """An address beyond loopback without API keys."""

    code = "unsafe_listen"
