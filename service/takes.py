"""Takes in the data directory: results are appended, never changed.

    captures/NAME/capture.json             rig and calibration
    captures/NAME/frames/PLACE.jsonl       one line a frame set: the result and the tracker's state
    captures/NAME/watch.json               how the cameras fare (`capture_health.py`)
    captures/NAME/owner.lock               held by the one process that appends
    captures/NAME/pictures/SEQUENCE.CAMERA.jpg     reduced pictures, bounded, older ones go first
    deleted/                                on its way out; the rest goes at the next start

Result and tracker state share a line, so after a crash they agree: a line that was not finished
is cut off, and the capture goes on behind the last whole one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import secrets
import shutil
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import IO, Any

from .errors import Conflict, Exists, NotFound
from .files import read_json, sync_directory, write_atomic, write_json
from .frame_log import LINES, FrameLog
from .names import checked_name
from .previews import Previews

__all__ = ["Take", "TakeRecord", "Takes"]


@dataclass(frozen=True, slots=True)
class TakeRecord:
    """A capture: one recording with one calibration."""

    name: str
    rig: str
    calibration: str
    created: str
    regions: bool = False  # whether workers look closer where people are expected


class Takes:
    """All captures (state: the files)."""

    def __init__(self, root: Path) -> None:
        self._root = root / "captures"
        self._root.mkdir(parents=True, exist_ok=True)
        self._deleted = root / "deleted"
        shutil.rmtree(self._deleted, ignore_errors=True)

    def create(self, record: TakeRecord) -> None:
        """A new capture without frames.

        Raises:
            BadName: not a name for a file.
            Exists: there is one of that name.
        """
        directory = self._root / checked_name("capture", record.name)
        try:
            directory.mkdir()
        except FileExistsError as error:
            raise _taken(record.name) from error
        write_json(directory / "capture.json", asdict(record))
        sync_directory(self._root)

    def names(self) -> list[str]:
        """The captures' names, oldest first."""
        paths = self._root.glob("*/capture.json")
        return [
            path.parent.name for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)
        ]

    def take(self, name: str) -> Take:
        """One capture.

        Raises:
            BadName, NotFound: there cannot be, or is, none of that name.
        """
        directory = self._root / checked_name("capture", name)
        if not (directory / "capture.json").exists():
            raise _no_capture(name)
        record = TakeRecord(**read_json(directory / "capture.json"))
        return Take(directory, replace(record, name=name))  # renaming is one step: the directory's

    def rename(self, take: Take, name: str) -> None:
        """Gives a capture another name, in one step; `take` is of no use afterwards.

        Raises:
            BadName: not a name for a file.
            Exists: there is one of that name.
            Conflict: another process appends to it.
        """
        target = self._root / checked_name("name", name)
        take.claim()
        try:
            if target.exists():
                raise FileExistsError(target)
            take.directory.rename(target)
        except (FileExistsError, NotADirectoryError) as error:
            raise _taken(name) from error
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            raise _taken(name) from error
        finally:
            take.close()
        sync_directory(self._root)

    def delete(self, take: Take) -> Path:
        """Takes a capture away, in one step; returns what of it is to be removed from the disk.

        Raises:
            Conflict: another process appends to it.
        """
        take.claim()
        try:
            self._deleted.mkdir(exist_ok=True)
            rest = self._deleted / f"{take.record.name}.{secrets.token_hex(4)}"
            take.directory.rename(rest)
        finally:
            take.close()
        sync_directory(self._root)
        return rest


class Take:
    """One capture's results and pictures (state: how many, and whether it is ours to append to)."""

    def __init__(self, directory: Path, record: TakeRecord) -> None:
        self.record = record
        self.directory = directory
        self._pictures = Previews(directory / "pictures")
        self._lock: IO[bytes] | None = None
        _adopt_one_file(directory)
        self._log = FrameLog(directory / "frames")

    def __len__(self) -> int:
        return len(self._log)

    def append(self, frame: Mapping[str, Any], tracker: Mapping[str, Any]) -> None:
        """Writes one result through to the disk.

        Raises:
            Conflict: another process appends to this capture.
        """
        self._own()
        line = json.dumps({"frame": frame, "tracker": tracker}, separators=(",", ":"))
        self._log.append(line.encode())

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
        """Results in order, from the `start`-th to before the `stop`-th, read as they are used."""
        for line in self._log.read(start, stop):
            yield {**json.loads(line)["frame"], "capture": self.record.name}

    def last(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The last result and the tracker's state behind it."""
        if not len(self._log):
            return None
        line = json.loads(next(self._log.read(len(self._log) - 1)))
        return line["frame"], line["tracker"]

    def at_time(self, timestamp_ns: int) -> dict[str, Any] | None:
        """The result of that very moment, if there is one."""
        places = range(len(self._log))
        place = bisect_left(places, timestamp_ns, key=self._time_of)
        found = next(self.frames(place, place + 1), None)
        return found if found is not None and found["timestamp_ns"] == timestamp_ns else None

    def keep_pictures(
        self, sequence: int, pictures: Mapping[str, bytes], *, only_last: bool, limit_bytes: int
    ) -> None:
        """Keeps reduced pictures of one frame set; older ones go once they are over the limit."""
        self._pictures.keep(sequence, pictures, only_last=only_last, limit_bytes=limit_bytes)

    def picture(self, sequence: int, camera: str) -> Path:
        """The reduced picture of one camera.

        Raises:
            NotFound: none was kept.
        """
        path = self._pictures.path(sequence, camera)
        if not path.exists():
            raise NotFound(
                f"capture {self.record.name!r} keeps no picture of camera {camera!r} for frame "
                f"{sequence}; store.keep_frames and store.preview_bytes say which are kept"
            )
        return path

    def claim(self) -> None:
        """Makes sure that no other process appends until `close`.

        Raises:
            NotFound: it was renamed or deleted.
            Conflict: another process appends to this capture.
        """
        if self._lock is not None:
            return
        try:
            lock = (self.directory / "owner.lock").open("wb")
        except FileNotFoundError as error:
            raise _no_capture(self.record.name) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise Conflict(
                f"another service process takes frames for capture {self.record.name!r}; "
                "post them there, or to a capture of another name",
                field="/capture",
            ) from error
        self._lock = lock

    def close(self) -> None:
        """Lets another process append."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _time_of(self, place: int) -> int:
        return int(next(self.frames(place, place + 1))["timestamp_ns"])

    def _own(self) -> None:
        """Makes this process the one that appends: two would overwrite each other's lines."""
        if self._lock is not None:
            return
        self.claim()
        known = len(self._log)
        self._log.refresh()
        if len(self._log) != known:
            self.close()
            raise Conflict(
                f"capture {self.record.name!r} was continued by another service process, from "
                f"{known} to {len(self._log)} results; restart this one to go on with it",
                field="/capture",
            )


def _taken(name: str) -> Exists:
    return Exists(f"there is a capture {name!r} already; choose another name", field="/name")


def _no_capture(name: str) -> NotFound:
    return NotFound(
        f"there is no capture {name!r}; make it first with POST /v1/captures, "
        "GET /v1/captures lists them",
        field="/capture",
    )


def _adopt_one_file(directory: Path) -> None:
    """Takes of earlier versions have all their lines in one file; they are split once."""
    whole = directory / "frames.jsonl"
    if not whole.exists():
        return
    if not (directory / "frames").exists():
        part = directory / "frames.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        with whole.open("rb") as file:
            for first in count(0, LINES):
                lines = [line for line in islice(file, LINES) if line.endswith(b"\n")]
                if not lines:
                    break
                write_atomic(part / f"{first:08d}.jsonl", b"".join(lines))
        part.rename(directory / "frames")
        sync_directory(directory)
    whole.unlink()
