from __future__ import annotations

import threading
from pathlib import Path

import pytest

from service import files
from service.errors import BadName, Exists, NotCalibrated, NotFound
from service.files import write_atomic
from service.names import checked_name
from service.store import Store

from .world import RIG


def test_a_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_what_a_crash_left_half_written_is_swept_away(tmp_path: Path) -> None:
    Store(tmp_path).create_rig("studio", "quad")
    part = tmp_path / "rigs" / "studio" / ".rig.json.abcd.part"
    half = tmp_path / "calibrations" / ".new-abcd"
    part.write_bytes(b"half")
    half.mkdir()
    store = Store(tmp_path)
    assert not part.exists()
    assert not half.exists()
    assert store.rig("studio").kind == "quad"


def test_a_store_is_what_lies_on_disk(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.create_rig("studio", "quad")
    with pytest.raises(NotCalibrated):
        store.active_rig("studio")
    record = store.add_calibration("studio", RIG, {"a": 1}, "calibrated")
    assert store.rig("studio").calibration is None  # not by itself
    store.activate(record.id)
    again = Store(tmp_path)
    assert again.rig("studio").calibration == record.id
    assert again.report(record.id) == {"a": 1}
    assert again.active_rig("studio")[1].names == RIG.names
    assert again.calibrated_rig(record.id) is again.calibrated_rig(record.id)  # read once


def test_names_are_taken_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.create_rig("studio", "quad")
    with pytest.raises(Exists):
        store.create_rig("studio", "quad")
    with pytest.raises(NotFound):
        store.rig("nobody")


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\\b", ".a", "-a", "a\x00", "a" * 65, "é"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(BadName):
        checked_name("rig", name)


@pytest.mark.parametrize("name", ["a", "cam0", "Take-3.final_2", "0", "a" * 64, "a..b"])
def test_names_that_are(name: str) -> None:
    assert checked_name("rig", name) == name


def test_calibrations_made_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    """Two stores on one directory, as two services on a shared volume."""
    stores = [Store(tmp_path), Store(tmp_path)]
    stores[0].create_rig("studio", "quad")
    ids: list[str] = []

    def add(store: Store) -> None:
        ids.extend(store.add_calibration("studio", RIG, {}, "imported").id for _ in range(10))

    threads = [threading.Thread(target=add, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids, key=lambda one: int(one[1:])) == [f"c{n}" for n in range(1, 21)]
