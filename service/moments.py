"""Views that come one by one, put together to frame sets by their timestamps.

A view joins the set whose timestamps it lies within the tolerance of. A set goes on when every
camera that is alive is there, when those that are missing have sent later views already, or when
it has waited long enough. Sets go on in the order of their times; what comes for one that has gone
on is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .framing import Message

__all__ = ["Moments", "ViewSet"]

# A camera that has sent nothing for this long, by the stream's own time, is not waited for.
_ALIVE_NS = 1_000_000_000
# By our clock, from a set's first view: views of one moment are compressed and sent one by one.
_PATIENCE_S = 0.1
_MOST_OPEN = 8  # sets; the oldest goes on when there would be more


@dataclass(slots=True)
class ViewSet:
    """Views of one moment (state: those that came so far)."""

    timestamp_ns: int  # of the earliest view
    latest_ns: int
    sequence: int | None  # the sender's number of the first message
    since_s: float  # when that came, by the monotonic clock
    images: dict[str, bytes] = field(default_factory=dict)  # encoded, by camera

    @property
    def size_bytes(self) -> int:
        """Bytes of its pictures."""
        return sum(map(len, self.images.values()))


class Moments:
    """Puts views together (state: sets that are not whole, and when each camera was heard)."""

    def __init__(self, cameras: Sequence[str], tolerance_ns: int) -> None:
        self._cameras = tuple(cameras)
        self._tolerance_ns = tolerance_ns
        self._patience_s = max(_PATIENCE_S, 2e-9 * tolerance_ns)
        self._open: list[ViewSet] = []  # by time
        self._gone: ViewSet | None = None  # the last one that went on, without its pictures
        self._heard: dict[str, int] = {}
        self._first_ns: int | None = None

    def add(self, message: Message, now_s: float) -> tuple[list[ViewSet], tuple[str, ...]]:
        """Sets that can go on now, and the cameras of the message that are late."""
        time_ns = message.timestamp_ns
        if self._first_ns is None:
            self._first_ns = time_ns
        late = tuple(name for name in message.images if self._is_late(name, time_ns))
        for name, data in message.images.items():
            if name not in late:
                self._place(message, name, now_s).images[name] = data
                self._heard[name] = time_ns
        ready = []
        while self._open and (len(self._open) > _MOST_OPEN or self._is_whole(self._open[0])):
            ready.append(self._release())
        return ready, late

    def due(self, now_s: float) -> list[ViewSet]:
        """Sets that have waited long enough."""
        ready = []
        while self._open and now_s >= self._open[0].since_s + self._patience_s:
            ready.append(self._release())
        return ready

    def wait_s(self, now_s: float) -> float | None:
        """How long until a set is due; None while none is open."""
        if not self._open:
            return None
        return max(0.0, self._open[0].since_s + self._patience_s - now_s)

    def paused(self, seconds: float) -> None:
        """Nothing was read for so long: the views that are missing may lie in the line."""
        for one in self._open:
            one.since_s += seconds

    def rest(self) -> list[ViewSet]:
        """What is left at the end."""
        return [self._release() for _ in range(len(self._open))]

    def _is_late(self, camera: str, time_ns: int) -> bool:
        if time_ns <= self._heard.get(camera, -1):
            return True
        gone = self._gone
        if gone is None or time_ns > gone.timestamp_ns + self._tolerance_ns:
            return False
        return time_ns <= gone.timestamp_ns or camera not in gone.images

    def _place(self, message: Message, camera: str, now_s: float) -> ViewSet:
        """The set that a view belongs to, a new one if none fits."""
        time_ns = message.timestamp_ns
        for one in self._open:
            spread = max(one.latest_ns, time_ns) - min(one.timestamp_ns, time_ns)
            if camera not in one.images and spread <= self._tolerance_ns:
                one.latest_ns = max(one.latest_ns, time_ns)
                one.timestamp_ns = min(one.timestamp_ns, time_ns)
                return one
        new = ViewSet(time_ns, time_ns, message.sequence, now_s)
        self._open.append(new)
        self._open.sort(key=lambda one: one.timestamp_ns)
        return new

    def _is_whole(self, one: ViewSet) -> bool:
        """Whether no further view of it is to be expected."""
        newest_ns = max(self._heard.values())
        assert self._first_ns is not None, "a view has come"
        for camera in self._cameras:
            heard_ns = self._heard.get(camera)
            alive = newest_ns - (self._first_ns if heard_ns is None else heard_ns) <= _ALIVE_NS
            past = heard_ns is not None and heard_ns > one.timestamp_ns + self._tolerance_ns
            if camera not in one.images and alive and not past:
                return False
        return True

    def _release(self) -> ViewSet:
        one = self._open.pop(0)
        nothing = dict.fromkeys(one.images, b"")
        self._gone = ViewSet(one.timestamp_ns, one.latest_ns, None, one.since_s, nothing)
        return one
