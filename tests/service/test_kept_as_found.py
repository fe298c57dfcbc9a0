"""A take from files that is killed in the middle goes on: nothing found is lost or twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.camera import project
from capture.result import frame_to_json
from capture.track import TrackSettings
from service.commands.capture import _run
from service.commands.kept_as_found import KeptFrames, run_of
from service.videos import Videos, frame_sets, look_at

from .dots import DotPredictor, draw
from .world import RIG, person

FRAMES = 12
ROOT = Path(__file__).parents[2]


def filmed(folder: Path) -> Videos:
    """Somebody walks past; lossless, so that dots keep their colours."""
    for camera in RIG.cameras:
        path = folder / f"{camera.name}.avi"
        if path.exists():
            continue
        size = camera.frame_size_px
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 30.0, size)
        assert writer.isOpened()
        for number in range(FRAMES):
            writer.write(draw([project(camera, person(0.02 * number, 0.1))], size))
        writer.release()
    return look_at({camera.name: folder / f"{camera.name}.avi" for camera in RIG.cameras})


def kept_in(folder: Path, videos: Videos, **options: Any) -> KeptFrames:
    return KeptFrames(folder, run_of(videos, "0", "rig", **options), TrackSettings())


def find(kept: KeptFrames, videos: Videos, step: Any = lambda done: None) -> list[Any]:
    kept.find(
        lambda begin, tracker: _run(
            videos, begin, None, RIG, DotPredictor(), tracker, "take", False, False, step
        )
    )
    return [{**frame_to_json(one), "timings_ms": {}} for one in kept.frames()]


def killed_behind(folder: Path, frames: int) -> None:
    """For a process of its own: dies without a word once so many frames are kept."""
    videos = filmed(folder)
    kept = kept_in(folder / "killed", videos)

    def step(done: int) -> None:
        if done > frames:
            os.kill(os.getpid(), signal.SIGKILL)

    find(kept, videos, step)


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    videos = filmed(tmp_path)
    whole = find(kept_in(tmp_path / "whole", videos), videos)
    assert [one["sequence"] for one in whole] == list(range(FRAMES))
    command = (
        "from pathlib import Path; from tests.service.test_kept_as_found import killed_behind; "
        f"killed_behind(Path({str(tmp_path)!r}), 5)"
    )
    ended = subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    steps: list[int] = []
    kept = kept_in(tmp_path / "killed", videos)
    assert find(kept, videos, steps.append) == whole
    assert steps == list(range(7, FRAMES + 1))  # six were found before
    kept.done()
    assert not list((tmp_path / "killed").iterdir())


def test_another_run_begins_anew(tmp_path: Path) -> None:
    videos = filmed(tmp_path)
    find(kept_in(tmp_path / "take", videos, regions=False), videos)
    steps: list[int] = []
    find(kept_in(tmp_path / "take", videos, regions=True), videos, steps.append)
    assert steps == list(range(1, FRAMES + 1))


@pytest.mark.parametrize("begin", [1, FRAMES - 1, FRAMES, FRAMES + 3])
def test_videos_are_read_from_any_frame(tmp_path: Path, begin: int) -> None:
    videos = filmed(tmp_path)
    rest = list(frame_sets(videos))[begin:]
    found = list(frame_sets(videos, begin=begin))
    assert [one.timestamp_ns for one in found] == [one.timestamp_ns for one in rest]
    for one, other in zip(found, rest, strict=True):
        assert all(np.array_equal(one.images[name], other.images[name]) for name in RIG.names)
