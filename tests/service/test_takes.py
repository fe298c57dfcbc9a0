from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.errors import Conflict, Exists, NotFound
from service.frame_log import LINES
from service.takes import Take, TakeRecord, Takes


@pytest.fixture
def takes(tmp_path: Path) -> Takes:
    return Takes(tmp_path)


@pytest.fixture
def take(takes: Takes) -> Iterator[Take]:
    takes.create(TakeRecord("take", "studio", "c1", "2026-11-24T10:00:00Z"))
    with closing(takes.take("take")) as take:
        yield take


def lines_of(tmp_path: Path) -> Path:
    return tmp_path / "captures" / "take" / "frames" / "00000000.jsonl"


def test_results_are_appended_and_read_back(take: Take, takes: Takes) -> None:
    assert take.last() is None
    for sequence in range(3):
        take.append({"sequence": sequence}, {"state": sequence})
    for one in (take, takes.take("take")):
        assert len(one) == 3
        assert list(one.frames()) == [{"sequence": n, "capture": "take"} for n in range(3)]
        assert list(one.frames(1, 2)) == [{"sequence": 1, "capture": "take"}]
        assert one.last() == ({"sequence": 2}, {"state": 2})


@pytest.mark.parametrize("kept", [1, 20, 36])
def test_a_torn_last_line_is_forgotten(take: Take, takes: Takes, tmp_path: Path, kept: int) -> None:
    for sequence in range(2):
        take.append({"sequence": sequence}, {})
    data = lines_of(tmp_path).read_bytes()
    first = data.index(b"\n") + 1
    lines_of(tmp_path).write_bytes(data[: first + kept])
    take.close()
    again = takes.take("take")
    assert len(again) == (2 if first + kept >= len(data) else 1)
    again.append({"sequence": 7}, {})
    again.close()
    assert [frame["sequence"] for frame in takes.take("take").frames()][-1] == 7
    assert lines_of(tmp_path).read_bytes().endswith(b"\n")


def test_an_append_that_failed_leaves_nothing_behind(
    take: Take, takes: Takes, monkeypatch: pytest.MonkeyPatch
) -> None:
    take.append({"sequence": 0}, {})

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            take.append({"sequence": 1, "long": "x" * 500}, {})
    assert len(take) == 1
    take.append({"sequence": 2}, {})
    assert [frame["sequence"] for frame in takes.take("take").frames()] == [0, 2]


def test_pictures_are_bounded_older_ones_go_first(take: Take, takes: Takes) -> None:
    for sequence in range(5):
        take.keep_pictures(
            sequence, {"cam0": bytes(10), "cam1": bytes(10)}, only_last=False, limit_bytes=45
        )
    kept = [n for n in range(5) if exists(take, n)]
    assert kept == [3, 4]
    take.close()
    again = takes.take("take")  # the sizes are found again after a restart
    again.keep_pictures(5, {"cam0": bytes(10), "cam1": bytes(10)}, only_last=False, limit_bytes=45)
    assert [n for n in range(6) if exists(again, n)] == [4, 5]


def test_only_the_last_pictures(take: Take) -> None:
    for sequence in range(3):
        take.keep_pictures(sequence, {"cam0": bytes(10)}, only_last=True, limit_bytes=10**9)
    assert [n for n in range(3) if exists(take, n)] == [2]


def exists(take: Take, sequence: int) -> bool:
    try:
        take.picture(sequence, "cam0")
    except NotFound:
        return False
    return True


def test_names_are_taken_once(take: Take, takes: Takes) -> None:
    with pytest.raises(Exists):
        takes.create(take.record)
    with pytest.raises(NotFound):
        takes.take("another")
    assert takes.names() == ["take"]


def test_two_processes_never_append_to_one_capture(take: Take, takes: Takes) -> None:
    """A lock belongs to an open file, so a second one here is like a second process."""
    other = takes.take("take")
    take.append({"sequence": 0}, {})
    with pytest.raises(Conflict, match="another service process takes frames"):
        other.append({"sequence": 0}, {})
    take.close()
    with pytest.raises(Conflict, match="from 0 to 1 results"):
        other.append({"sequence": 0}, {})
    fresh = takes.take("take")
    fresh.append({"sequence": 1}, {})
    fresh.close()
    assert [frame["sequence"] for frame in fresh.frames()] == [0, 1]


def test_a_long_take_is_read_by_pages_from_files_of_their_own(
    takes: Takes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _handle: None)
    takes.create(TakeRecord("long", "studio", "c1", "2026-11-24T10:00:00Z"))
    count = 2 * LINES + 3
    with closing(takes.take("long")) as take:
        for number in range(count):
            take.append({"sequence": number, "timestamp_ns": 10 * number}, {})
    again = takes.take("long")
    files = sorted(path.name for path in (tmp_path / "captures" / "long" / "frames").iterdir())
    assert files == [f"{n * LINES:08d}.jsonl" for n in range(3)]
    assert len(again) == count
    assert [one["sequence"] for one in again.frames()] == list(range(count))
    for start, stop in ((0, 2), (LINES - 1, LINES + 1), (LINES, 2 * LINES), (count - 1, count + 9)):
        found = [one["sequence"] for one in again.frames(start, stop)]
        assert found == list(range(start, min(stop, count)))
    for number in (0, 1, LINES - 1, LINES, count - 1):
        found_then = again.at_time(10 * number)
        assert found_then is not None
        assert found_then["sequence"] == number
    assert again.at_time(5) is None
    assert again.at_time(10 * count) is None


def test_a_take_whose_results_are_in_one_file_is_split_once(takes: Takes, tmp_path: Path) -> None:
    takes.create(TakeRecord("old", "studio", "c1", "2026-11-24T10:00:00Z"))
    directory = tmp_path / "captures" / "old"
    lines = [
        json.dumps({"frame": {"sequence": n, "timestamp_ns": n}, "tracker": {"n": n}})
        for n in range(LINES + 2)
    ]
    (directory / "frames.jsonl").write_text("\n".join(lines) + '\n{"frame": {"sequ')
    for _ in range(2):
        take = takes.take("old")
        assert [one["sequence"] for one in take.frames()] == list(range(LINES + 2))
        assert take.last() == ({"sequence": LINES + 1, "timestamp_ns": LINES + 1}, {"n": LINES + 1})
    assert not (directory / "frames.jsonl").exists()
