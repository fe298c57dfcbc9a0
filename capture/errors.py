"""What can go wrong between people in views and people in metres.

    CaptureError
    ├── BadDetections    2D input from another tool that cannot be read or used
    ├── BadTimestamps    frames' times that no clock can have
    ├── TooFewCameras    fewer than two calibrated views to triangulate from
    ├── NotSynchronizable  the motion does not say how the cameras' clocks lie to each other
    ├── BadResult        a stored or sent frame result that is not one of ours
    └── ExportError      a take that cannot be written in the format asked for

Every message says what was wrong and what to do next; `field` says where, when that is known.
"""


class CaptureError(Exception):
    """Base of everything this folder raises on purpose."""

    code = "capture_error"

    def __init__(self, message: str, *, field: str | None = None):
        super().__init__(message)
        self.field = field


class BadDetections(CaptureError):
    """2D input from another tool cannot be read or used."""

    code = "bad_detections"


class BadTimestamps(CaptureError):
    """Frames' times that no clock can have."""

    code = "bad_timestamps"


class TooFewCameras(CaptureError):
    """Fewer than two calibrated views to triangulate from."""

    code = "too_few_cameras"


class NotSynchronizable(CaptureError):
    """The motion does not say how the cameras' clocks lie to each other."""

    code = "not_synchronizable"


class BadResult(CaptureError):
    """A stored or sent frame result is not one of ours."""

    code = "bad_result"


class ExportError(CaptureError):
    """A take cannot be written in the format asked for."""

    code = "export_error"
