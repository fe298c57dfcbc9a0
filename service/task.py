"""What goes through the queue: a frame set to look at, and its answer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from calibration.rig import Rig
from capture.people import Prediction
from capture.regions import Region

from .pipeline import Seen

__all__ = ["Answer", "Hint", "Model", "Posted", "Result", "Task"]


@dataclass(frozen=True, slots=True)
class Posted:
    """A frame set as it came."""

    images: Mapping[str, bytes]  # encoded, by camera
    timestamp_ns: int | None = None  # None: the time of arrival
    capture: str | None = None  # None: people get no identities


@dataclass(frozen=True, slots=True)
class Hint:
    """What a capture knows beforehand; a worker may use it, and needs no memory of its own."""

    predicted: tuple[Prediction, ...] = ()  # where tracked people are expected
    regions: Mapping[str, Region] = field(default_factory=dict)  # the part of a picture to look at


@dataclass(frozen=True, slots=True)
class Task:
    """Pictures of one moment, and until when somebody waits for them.

    Clock times, not monotonic ones: poster and worker may be on different machines.
    """

    images: Mapping[str, bytes]  # encoded, by camera
    rig: Rig | None  # None: one picture, people stay 2D
    posted_ns: int
    deadline_ns: int
    preview_side: int = 0  # longer side of the reduced pictures to send back; 0: none
    hint: Hint = field(default_factory=Hint)
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    # Of the request it came with: `request`, `capture`; the worker's log lines carry them.
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes that its pictures occupy while it waits."""
        return sum(len(data) for data in self.images.values())

    def expired(self) -> bool:
        """Whether nobody waits any more."""
        return time.time_ns() > self.deadline_ns


@dataclass(frozen=True, slots=True)
class Model:
    """Which network gave an answer."""

    name: str
    sha256: str
    skeleton: str


@dataclass(frozen=True, slots=True)
class Result:
    """Who was seen, by which network, and what the pictures looked like."""

    seen: Seen
    model: Model
    previews: Mapping[str, bytes]  # reduced JPEGs by camera, if they were asked for


@dataclass(frozen=True, slots=True)
class Answer:
    """How a task ended."""

    task_id: str
    outcome: Result | Exception
