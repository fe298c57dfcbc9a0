from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import looking
from calibration.board import parse_board
from calibration.camera import Camera
from calibration.errors import Cancelled
from calibration.footage import Clip, Footage
from calibration.looking import Look, look_at_all
from calibration.views import Sightings, find_boards

from .boards import facing, look_at, render

BOARD = parse_board("5x4", 60)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """Two cameras with three small pictures each, of which two show the board."""
    root = tmp_path_factory.mktemp("pictures")
    K = np.array([[500.0, 0, 240], [0, 500, 160], [0, 0, 1]])
    pose = look_at(np.array([-1.2, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    camera = Camera("a", (480, 320), K, np.zeros(5), pose)
    rng = np.random.default_rng(0)
    clips = []
    for name in ("a", "b"):
        files = []
        for moment in ("0", "1", "2"):
            at = facing(rng, BOARD, np.array([0.0, 0, 1]), camera.center_world, 0.3)
            picture = render(camera, BOARD, at, seed=int(moment))
            if moment == "1":
                picture[:] = 120
            file = root / f"{name}{moment}.png"
            cv2.imwrite(str(file), picture)
            files.append(file)
        clips.append(Clip(name, tuple(files), ("0", "1", "2")))
    return Footage(tuple(clips))


def _same(one: Sightings, other: Sightings) -> None:
    assert [view.key for view in one.views] == [view.key for view in other.views]
    for a, b in zip(one.views, other.views, strict=True):
        np.testing.assert_array_equal(a.corners_px, b.corners_px)
    assert one.looked_at == other.looked_at


def test_processes_threads_and_neither_find_the_same(
    footage: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = find_boards(footage, BOARD)
    assert [view.moment for view in alone.views] == ["0", "0", "2", "2"]
    _same(find_boards(footage, BOARD, workers=2), alone)  # few pictures: threads
    monkeypatch.setattr(looking, "MIN_PICTURES", 2)
    told: list[tuple[int, int]] = []
    found: list[Sightings] = []

    def work() -> None:  # as the service's thread does
        found.append(
            find_boards(footage, BOARD, workers=2, progress=lambda *step: told.append(step))
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    _same(found[0], alone)
    assert told == [(n, 6) for n in range(1, 7)]


def test_cancelling_stops_the_processes(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MIN_PICTURES", 2)
    pools: list[ProcessPoolExecutor] = []
    start = looking._processes

    def kept(workers: int) -> ProcessPoolExecutor:
        pools.append(start(workers))
        return pools[-1]

    monkeypatch.setattr(looking, "_processes", kept)

    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        find_boards(footage, BOARD, workers=2, progress=stop)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pools[0].submit(int)


def test_a_broken_process_loses_no_picture(
    footage: Footage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(looking, "MIN_PICTURES", 2)
    monkeypatch.setattr(looking, "_settle_in", _die)
    looks = find_boards(footage, BOARD, workers=2)
    _same(looks, find_boards(footage, BOARD))
    assert "going on in this one" in caplog.text


def _die() -> None:
    """What a new process does that cannot start."""
    import os

    os._exit(3)


@pytest.mark.slow
def test_a_script_without_a_guard_still_gets_its_boards(footage: Footage, tmp_path: Path) -> None:
    """Started afresh, its processes would run the script again; they do not start, threads do."""
    files = [[str(file) for file in clip.files] for clip in footage.clips]
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from calibration import looking\n"
        "from calibration.board import parse_board\n"
        "from calibration.footage import Clip, Footage\n"
        "from calibration.views import find_boards\n"
        "looking.MIN_PICTURES = 2\n"
        f"clips = [Clip(n, tuple(map(Path, f)), ('0', '1', '2')) for n, f in zip('ab', {files})]\n"
        "found = find_boards(Footage(tuple(clips)), parse_board('5x4', 60), workers=2)\n"
        "print(len(found.views))\n"
    )
    root = Path(looking.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout.strip().splitlines()[-1:] == ["4"], done.stderr[-2000:]


def test_only_a_few_pictures_wait_at_a_time(footage: Footage) -> None:
    taken = 0

    def reading() -> Iterator[tuple[Clip, str, np.ndarray]]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield footage.clips[0], "0", np.zeros((64, 64), np.uint8)

    looks = look_at_all(reading(), 50, BOARD, 2)
    _, first = next(looks)
    assert isinstance(first, Look)
    assert first.detection is None
    assert taken <= 6
    looks.close()
