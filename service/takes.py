"""Takes in the data directory: results are appended, never changed.

    captures/NAME/capture.json             rig and calibration
    captures/NAME/frames.jsonl             one line a frame set: the result and the tracker's state
    captures/NAME/owner.lock               held by the one process that appends
    captures/NAME/pictures/SEQUENCE.CAMERA.jpg     reduced pictures, bounded, older ones go first

Result and tracker state share a line, so after a crash they agree: a line that was not finished
is cut off, and the capture goes on behind the last whole one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from .errors import Conflict, Exists, NotFound
from .files import read_json, sync_directory, write_json
from .names import checked_name

__all__ = ["Take", "TakeRecord", "Takes"]


@dataclass(frozen=True, slots=True)
class TakeRecord:
    """A capture: one recording with one calibration."""

    name: str
    rig: str
    calibration: str
    created: str


class Takes:
    """All captures (state: the files)."""

    def __init__(self, root: Path) -> None:
        self._root = root / "captures"
        self._root.mkdir(parents=True, exist_ok=True)

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
            raise Exists(
                f"there is a capture {record.name!r} already; choose another name", field="/name"
            ) from error
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
            raise NotFound(
                f"there is no capture {name!r}; make it first with POST /v1/captures, "
                "GET /v1/captures lists them",
                field="/capture",
            )
        return Take(directory, TakeRecord(**read_json(directory / "capture.json")))


class Take:
    """The file of one capture's results (state: where its lines begin, and whether it is ours)."""

    def __init__(self, directory: Path, record: TakeRecord) -> None:
        self.record = record
        self._directory = directory
        self._lines = directory / "frames.jsonl"
        self._pictures = directory / "pictures"
        self._starts: list[int] = []  # byte offsets of whole lines
        self._end = 0
        self._lock: IO[bytes] | None = None
        self._index()
        self._picture_sizes: dict[Path, int] | None = None

    def __len__(self) -> int:
        return len(self._starts)

    def append(self, frame: Mapping[str, Any], tracker: Mapping[str, Any]) -> None:
        """Writes one result through to the disk.

        Raises:
            Conflict: another process appends to this capture.
        """
        self._own()
        line = json.dumps({"frame": frame, "tracker": tracker}, separators=(",", ":"))
        data = line.encode() + b"\n"
        mode = "r+b" if self._lines.exists() else "wb"
        with self._lines.open(mode, buffering=0) as file:
            file.truncate(self._end)  # a line that a crash cut off
            file.seek(self._end)
            try:
                file.write(data)
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(self._end)
                raise
        self._starts.append(self._end)
        self._end += len(data)

    def frames(self, start: int = 0, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Results in order, from the `start`-th."""
        stop = len(self._starts) if limit is None else min(start + limit, len(self._starts))
        if start >= stop:
            return
        with self._lines.open("rb") as file:
            file.seek(self._starts[start])
            for _ in range(start, stop):
                yield json.loads(file.readline())["frame"]

    def last(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The last result and the tracker's state behind it."""
        if not self._starts:
            return None
        with self._lines.open("rb") as file:
            file.seek(self._starts[-1])
            line = json.loads(file.readline())
        return line["frame"], line["tracker"]

    def keep_pictures(
        self, sequence: int, pictures: Mapping[str, bytes], *, only_last: bool, limit_bytes: int
    ) -> None:
        """Keeps reduced pictures of one frame set; older ones go once they are over the limit."""
        if not pictures:
            return
        self._pictures.mkdir(exist_ok=True)
        sizes = self._sizes()
        older = list(sizes)
        for camera, data in pictures.items():
            path = self._picture_path(sequence, camera)
            path.write_bytes(data)  # a preview may be lost in a crash; it costs no flush
            sizes[path] = len(data)
        total = sum(sizes.values())
        for path in older:
            if not only_last and total <= limit_bytes:
                break
            total -= sizes.pop(path)
            path.unlink(missing_ok=True)

    def picture(self, sequence: int, camera: str) -> Path:
        """The reduced picture of one camera.

        Raises:
            NotFound: none was kept.
        """
        path = self._picture_path(sequence, camera)
        if not path.exists():
            raise NotFound(
                f"capture {self.record.name!r} keeps no picture of camera {camera!r} for frame "
                f"{sequence}; store.keep_frames and store.preview_bytes say which are kept"
            )
        return path

    def _picture_path(self, sequence: int, camera: str) -> Path:
        return self._pictures / f"{sequence:08d}.{checked_name('camera', camera)}.jpg"

    def _sizes(self) -> dict[Path, int]:
        """Sizes of the kept pictures, oldest first."""
        if self._picture_sizes is None:
            self._picture_sizes = {
                path: path.stat().st_size for path in sorted(self._pictures.glob("*.jpg"))
            }
        return self._picture_sizes

    def close(self) -> None:
        """Lets another process append."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _own(self) -> None:
        """Makes this process the one that appends: two would overwrite each other's lines."""
        if self._lock is not None:
            return
        lock = (self._directory / "owner.lock").open("wb")
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
        known = len(self._starts)
        self._index()
        if len(self._starts) != known:
            self.close()
            raise Conflict(
                f"capture {self.record.name!r} was continued by another service process, from "
                f"{known} to {len(self._starts)} results; restart this one to go on with it",
                field="/capture",
            )

    def _index(self) -> None:
        self._starts, self._end = [], 0
        if not self._lines.exists():
            return
        with self._lines.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._starts.append(self._end)
                self._end += len(line)
