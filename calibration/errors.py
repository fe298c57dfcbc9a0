"""What can go wrong between a board and a calibrated rig.

    CalibrationError
    ├── BadInput             what was given cannot be read or used
    │   ├── BadBoard         the board's description makes no sense
    │   ├── BadFootage       images or videos: none, unreadable, of differing sizes
    │   ├── BadLayout        the boxes of a four-in-one picture do not fit it
    │   └── BadRigFile       a rig file: malformed, unknown keys, non-finite numbers
    ├── BoardNotFound        no usable view of the board where one is needed
    ├── TooFewViews          some views, but not enough to solve
    ├── Unconnected          cameras that share no moment with the others
    ├── Unsolvable           views that contradict each other, or say too little
    ├── WrongFrameSize       a frame does not have the size the rig was calibrated for
    ├── UnknownCamera        a camera name that the rig does not have
    └── Cancelled            the caller asked to stop

Every message says what was wrong, with numbers, and what to do next. `code` is a stable word for
programs, `reason` a finer one where there is one; `camera` and `field` say where, when that is
known.
"""


class CalibrationError(Exception):
    """Base of everything this folder raises on purpose."""

    code = "calibration_error"

    def __init__(
        self,
        message: str,
        *,
        camera: str | None = None,
        field: str | None = None,
        reason: str | None = None,
    ):
        super().__init__(message)
        self.camera = camera
        self.field = field
        self.reason = reason or self.code


class BadInput(CalibrationError):
    """What was given cannot be read or used."""

    code = "bad_input"


class BadBoard(BadInput):
    """The board's description makes no sense."""

    code = "bad_board"


class BadFootage(BadInput):
    """Images or videos are missing, unreadable or of differing sizes."""

    code = "bad_footage"


class BadLayout(BadInput):
    """The boxes of a four-in-one picture do not fit it."""

    code = "bad_layout"


class BadRigFile(BadInput):
    """A rig file is malformed, has unknown keys or non-finite numbers."""

    code = "bad_rig_file"


class BoardNotFound(CalibrationError):
    """No usable view of the board where one is needed."""

    code = "board_not_found"


class TooFewViews(CalibrationError):
    """Some views of the board, but not enough to solve."""

    code = "too_few_views"


class Unconnected(CalibrationError):
    """Cameras that share no moment with the others."""

    code = "unconnected"


class Unsolvable(CalibrationError):
    """Views that contradict each other, or say too little, so that no rig fits them."""

    code = "unsolvable"


class WrongFrameSize(CalibrationError):
    """A frame does not have the size the rig was calibrated for."""

    code = "wrong_frame_size"


class UnknownCamera(CalibrationError):
    """A camera name that the rig does not have."""

    code = "unknown_camera"


class Cancelled(CalibrationError):
    """The caller asked to stop."""

    code = "cancelled"
