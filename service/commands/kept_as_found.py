"""A take's frames on the disk as they are found, so that a run that was stopped goes on.

FOLDER/frames/run.json          what the run is of: another one does not go on with it
FOLDER/frames/PLACE.jsonl       one line a frame set: the result and the tracker's state
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import read_json, write_json
from ..frame_log import FrameLog
from .screen import remark

if TYPE_CHECKING:
    from capture.people import Frame
    from capture.track import Tracker, TrackSettings

    from ..videos import Videos

__all__ = ["KeptFrames", "run_of"]

Find = Callable[[int, "Tracker"], "Iterator[Frame]"]


class KeptFrames:
    """The frames of one run (state: the files)."""

    def __init__(self, folder: Path, run: Mapping[str, Any], tracking: TrackSettings) -> None:
        self._directory = folder / "frames"
        self._tracking = tracking
        self._run = dict(run)
        told = self._directory / "run.json"
        if not told.exists() or read_json(told) != self._run:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory.mkdir(parents=True)
            write_json(told, self._run)
        self._log = FrameLog(self._directory)

    def find(self, find: Find) -> None:
        """Finds what is missing and writes each frame through to the disk.

        Args:
            find: given the first frame's number and the tracker behind the frames before it.
        """
        from capture.result import frame_to_json
        from capture.track import Tracker

        begin = len(self._log)
        tracker = Tracker(self._tracking)
        if begin:
            last = json.loads(next(self._log.read(begin - 1)))
            tracker = Tracker.restore(self._tracking, last["tracker"])
            remark(f"going on behind frame {begin - 1}: {begin} frames were found before")
        for frame in find(begin, tracker):
            line = {"frame": frame_to_json(frame), "tracker": tracker.state()}
            self._log.append(json.dumps(line, separators=(",", ":")).encode())

    def frames(self) -> Iterator[Frame]:
        """All frames in order, read as they are used."""
        from capture.result import frame_from_json

        for line in self._log.read():
            yield frame_from_json(json.loads(line)["frame"])

    def done(self) -> None:
        """The take is written: nothing has to go on any more."""
        shutil.rmtree(self._directory, ignore_errors=True)


def run_of(videos: Videos, model_sha256: str, rig_text: str, **options: Any) -> dict[str, Any]:
    """What a run is of, as JSON-able values: the same for the same files, rig, network, options."""
    files = {
        name: [str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns]
        for name, path in videos.paths.items()
    }
    return {
        "videos": files,
        "rate_hz": videos.rate_hz,
        "model": model_sha256,
        "rig": rig_text,
        "options": options,
    }
