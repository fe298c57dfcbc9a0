"""Identity over time: a capture's results, put in order and named by its tracker.

Frame sets may be answered in any order; each waits for its turn. The tracker's state is saved in
the same line as the result, so a restarted service goes on with the same people.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool

from calibration.rig import Rig
from capture.people import Frame
from capture.regions import Lookout
from capture.result import frame_to_json
from capture.track import Tracker, TrackSettings

from .capture_health import CaptureHealth
from .config import StoreSettings
from .errors import BadValue, Conflict, NotFound
from .takes import Take, TakeRecord, Takes
from .task import Hint
from .turn import Turn
from .watchers import Watchers

__all__ = ["Captures", "LiveCapture"]

logger = logging.getLogger(__name__)


class LiveCapture:
    """A capture that takes frames (state: its tracker, the next number, whose turn it is).

    Used from the event loop only; the disk is written in a thread.
    """

    def __init__(
        self, take: Take, rig: Callable[[], Rig], tracking: TrackSettings, store: StoreSettings
    ) -> None:
        self.take = take
        self._rig = rig
        self._health: CaptureHealth | None = None  # read at first use, as the tracker is
        self._health_lock = threading.Lock()
        self._lookout: Lookout | None = None
        self.watchers = Watchers()
        self._tracking = tracking
        self._store = store
        self._tracker: Tracker | None = None  # until a frame set comes; reading needs none
        self._sequence = 0
        self._first_ns: int | None = None
        self._kept_ns: int | None = None  # time of the last result on the disk
        self._turns: list[Turn] = []  # of frame sets that are not over
        self._streams = 0  # connections that send into it
        self._moved = False  # renamed or deleted: nothing may be added through this object
        last = take.last()
        if last is not None:
            frame, _ = last
            self._sequence = frame["sequence"] + 1
            self._kept_ns = frame["timestamp_ns"]

    def span_ns(self) -> tuple[int | None, int | None]:
        """Times of the first and the last result; None before there is one."""
        if self._first_ns is None and len(self.take):
            self._first_ns = next(self.take.frames(0, 1))["timestamp_ns"]
        return self._first_ns, self._kept_ns

    @property
    def newest_ns(self) -> int | None:
        """Time of the last frame set that is kept or on its way; later ones may come."""
        times = [turn.timestamp_ns for turn in self._turns]
        if self._kept_ns is not None:
            times.append(self._kept_ns)
        return max(times, default=None)

    @property
    def watched_in_pictures(self) -> bool:
        """Whether somebody looks on who wants to see pictures."""
        return self.watchers.want_pictures

    def check_time(self, timestamp_ns: int) -> None:
        """Refuses a frame set that was taken before another one.

        One that failed may be posted again with its time, unless a later one came between.

        Raises:
            BadValue: the time is not behind that of the frame set before.
        """
        newest_ns = self.newest_ns
        if newest_ns is not None and timestamp_ns <= newest_ns:
            raise BadValue(
                f"timestamp_ns {timestamp_ns} is not behind {newest_ns}, that of the frame set "
                f"before it in capture {self.take.record.name!r}; post frame sets in the order "
                "they were taken",
                field="/timestamp_ns",
            )

    def expect(self, timestamp_ns: int) -> Hint:
        """Where everybody should be at that time, by the results so far; small enough to send.

        Raises:
            BadResult: the tracker's state on the disk is of another version.
        """
        if self._tracker is None:
            self._tracker = self._as_left()
        predicted = self._tracker.predict(timestamp_ns)
        if not self.take.record.regions:
            return Hint(predicted)
        if self._lookout is None:
            self._lookout = Lookout(self._rig())
        return Hint(predicted, self._lookout.regions(predicted))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """A connection sends into it, as long as the block runs."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def check_still(self) -> None:
        """Refuses to be moved while something is being written.

        Raises:
            Conflict: a frame set is under way, or a stream is connected.
        """
        if self._turns or self._streams:
            raise Conflict(
                f"capture {self.take.record.name!r} is being recorded: {len(self._turns)} frame "
                f"sets under way, {self._streams} streams connected; end them, then try again",
                field="/capture",
            )

    def moved(self) -> None:
        """It was renamed or deleted; whoever still holds this object can add nothing."""
        self._moved = True

    def enter(self, timestamp_ns: int) -> Turn:
        """The next place in the capture.

        Raises:
            BadValue: the time is not behind that of the frame set before.
            NotFound: it was renamed or deleted meanwhile.
        """
        if self._moved:
            raise NotFound(
                f"capture {self.take.record.name!r} was renamed or deleted meanwhile; "
                "GET /v1/captures lists them",
                field="/capture",
            )
        self.check_time(timestamp_ns)
        earlier = tuple(turn.over for turn in self._turns)
        turn = Turn(self._sequence, timestamp_ns, earlier)
        self._sequence += 1
        self._turns.append(turn)
        return turn

    def leave(self, turn: Turn) -> None:
        """Lets the next frame set come, whatever became of this one."""
        if turn in self._turns:
            self._turns.remove(turn)
            turn.over.set_result(None)

    async def keep(
        self, frame: Frame, previews: Mapping[str, bytes], hint: Hint | None = None
    ) -> dict[str, Any]:
        """The result with its people named, once it is on the disk. Only at the frame's turn."""
        start = time.perf_counter()
        if self._tracker is None:
            self._tracker = self._as_left()
        people = self._tracker.update(frame.people, frame.timestamp_ns)
        if self._lookout is not None and hint is not None:
            self._lookout.saw(hint.predicted, people)
        track_ms = (time.perf_counter() - start) * 1e3
        named = replace(
            frame, people=tuple(people), timings_ms={**frame.timings_ms, "track": track_ms}
        )
        try:
            state = self._tracker.state()
            result = await run_in_threadpool(self._write, named, state, previews)
        except BaseException:
            self._tracker = None  # what is not on the disk has not happened
            raise
        self._kept_ns = frame.timestamp_ns
        self.watchers.show(result, previews)
        return result

    def _write(
        self, frame: Frame, state: dict[str, Any], previews: Mapping[str, bytes]
    ) -> dict[str, Any]:
        result = frame_to_json(frame)
        health = self.health()  # before, or this result would be taken in twice
        self.take.append(result, state)
        health.update(frame)
        if self._store.keep_frames == "none":
            return result  # the pictures were for somebody who looks on
        try:
            self.take.keep_pictures(
                frame.sequence,
                previews,
                only_last=self._store.keep_frames == "last",
                limit_bytes=self._store.preview_bytes,
            )
        except OSError as error:
            # The result is on the disk; that counts, the pictures are for looking at.
            logger.warning("capture %s: pictures not kept: %s", self.take.record.name, error)
        return result

    def health(self) -> CaptureHealth:
        """How the cameras fare. Reads results at first use, so not from the event loop."""
        with self._health_lock:
            if self._health is None:
                self._health = CaptureHealth(self.take, self._rig())
        return self._health

    def close(self) -> None:
        """Lets another process go on with it."""
        if self._health is not None and self._tracker is not None:
            self._health.save()
        self.take.close()

    def _as_left(self) -> Tracker:
        """The tracker as it was saved with the last result."""
        last = self.take.last()
        return Tracker(self._tracking) if last is None else Tracker.restore(self._tracking, last[1])


class Captures:
    """All captures of the service (state: the ones in use)."""

    def __init__(
        self,
        takes: Takes,
        rig_of: Callable[[str], Rig],
        tracking: TrackSettings,
        store: StoreSettings,
    ) -> None:
        self._takes = takes
        self._rig_of = rig_of  # a calibration's rig
        self._tracking = tracking
        self._store = store
        self._live: dict[str, LiveCapture] = {}

    async def create(self, record: TakeRecord) -> LiveCapture:
        """A new capture."""
        self._takes.create(record)
        return await self.get(record.name)

    async def get(self, name: str) -> LiveCapture:
        """One capture, read from the disk at first use."""
        if name not in self._live:
            take = await run_in_threadpool(self._takes.take, name)
            # Two requests may have read it; only one may take frames.
            rig = partial(self._rig_of, take.record.calibration)
            self._live.setdefault(name, LiveCapture(take, rig, self._tracking, self._store))
        return self._live[name]

    async def rename(self, name: str, new_name: str) -> LiveCapture:
        """The same capture under another name.

        Raises:
            Conflict: it is being recorded; Exists: the name is taken.
        """
        live = await self.get(name)
        live.check_still()
        # Moved without a pause, so that no frame set comes between the check and the move.
        live.close()
        self._takes.rename(live.take, new_name)
        live.moved()
        self._live.pop(name, None)
        return await self.get(new_name)

    async def delete(self, name: str) -> None:
        """Takes a capture away for good.

        Raises:
            Conflict: it is being recorded.
        """
        live = await self.get(name)
        live.check_still()
        rest = self._takes.delete(live.take)
        live.moved()
        self._live.pop(name, None)
        await run_in_threadpool(shutil.rmtree, rest, ignore_errors=True)

    def close(self) -> None:
        """Lets other processes go on with the captures."""
        for live in self._live.values():
            live.close()
        self._live.clear()

    async def all(self) -> list[LiveCapture]:
        """Every capture, oldest first."""
        return [await self.get(name) for name in self._takes.names()]
