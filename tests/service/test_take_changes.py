"""Captures that are renamed and deleted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.config import Settings
from service.errors import NotFound
from service.key_ring import FILE, new_key
from service.takes import Takes

from .dots import DotPredictor
from .live import live
from .server import running, until
from .test_captures import FRAMES, places, post, take, two
from .world import FRAME_NS, as_files, frame_set

__all__ = ["take"]  # a fixture


def rename(client: httpx.Client, name: str, new: str) -> httpx.Response:
    return client.patch(f"/v1/captures/{name}", json={"name": new})


def test_a_renamed_capture_is_the_same_one_and_goes_on(
    take: httpx.Client, settings: Settings
) -> None:
    before = [post(take, number, two(number)) for number in range(3)]
    answer = rename(take, "take", "walk")
    assert (answer.status_code, answer.json()["name"], answer.json()["frames"]) == (200, "walk", 3)
    assert take.get("/v1/captures/take").status_code == 404
    assert [one["name"] for one in take.get("/v1/captures").json()["captures"]] == ["walk"]
    kept = take.get("/v1/captures/walk/frames").json()["frames"]
    assert kept == [{**one, "capture": "walk"} for one in before]
    assert take.get("/v1/captures/walk/frames/1/cam0.jpg").status_code == 200
    after = post(take, 3, two(3), capture="walk")
    assert (after["sequence"], set(places(after))) == (3, set(places(before[0])))
    new = take.post("/v1/captures", json={"rig": "studio", "name": "take"})  # the name is free
    assert new.status_code == 201
    assert rename(take, "walk", "walk").json()["frames"] == 4


def test_a_name_that_is_taken_or_no_name_is_refused(take: httpx.Client) -> None:
    take.post("/v1/captures", json={"rig": "studio", "name": "other"})
    post(take, 0, [])
    taken = rename(take, "take", "other")
    assert (taken.status_code, taken.json()["code"]) == (409, "exists")
    for bad in ("../out", "", "a b", ".hidden"):
        assert rename(take, "take", bad).status_code == 422
    assert rename(take, "nobody", "else").status_code == 404
    assert take.get("/v1/captures/take").json()["frames"] == 1


def test_a_deleted_capture_is_gone_from_the_disk(take: httpx.Client, settings: Settings) -> None:
    post(take, 0, two(0))
    assert take.delete("/v1/captures/take").status_code == 204
    for path in ("", "/frames", "/frames/0/cam0.jpg"):
        assert take.get(f"/v1/captures/take{path}").status_code == 404
    assert take.delete("/v1/captures/take").status_code == 404
    left = [path for path in settings.data_dir.rglob("*") if path.name.startswith("take")]
    assert left == []
    form = {"timestamp_ns": "1", "capture": "take"}
    refused = take.post(FRAMES, files=as_files(frame_set([])), data=form)
    assert refused.status_code == 404
    take.post("/v1/captures", json={"rig": "studio", "name": "take"})
    assert post(take, 0, [])["sequence"] == 0  # a new one, from the beginning


def test_what_is_being_recorded_stays(take: httpx.Client) -> None:
    with live(take, "/v1/rigs/studio/stream?capture=take") as stream:
        stream.next("hello")
        assert rename(take, "take", "walk").status_code == 409
        assert take.delete("/v1/captures/take").json()["code"] == "conflict"
        stream.send(frame_set([]), FRAME_NS)
        stream.next("result")
        stream.end()
        stream.rest()
    until(lambda: rename(take, "take", "walk").status_code == 200, "the stream is over")
    assert take.get("/v1/captures/walk").json()["frames"] == 1


class _Held(DotPredictor):
    """Looks at a picture only once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.may.set()
        self.looking = threading.Event()

    def candidates(self, images: Any) -> Any:
        self.looking.set()
        assert self.may.wait(30)
        return super().candidates(images)


@pytest.fixture
def predictor() -> DotPredictor:
    return _Held()


def test_a_frame_set_under_way_keeps_it_in_place(take: httpx.Client, predictor: _Held) -> None:
    predictor.may.clear()
    predictor.looking.clear()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, take, 0, two(0))
        try:
            assert predictor.looking.wait(30)
            assert rename(take, "take", "walk").status_code == 409
            assert take.delete("/v1/captures/take").status_code == 409
        finally:
            predictor.may.set()
        assert answer.result()["sequence"] == 0


def test_another_process_that_records_keeps_it(take: httpx.Client, settings: Settings) -> None:
    takes = Takes(settings.data_dir)
    other = takes.take("take")
    other.claim()
    assert take.delete("/v1/captures/take").status_code == 409
    assert rename(take, "take", "walk").status_code == 409
    other.close()
    assert rename(take, "take", "walk").status_code == 200
    with pytest.raises(NotFound):  # and one that comes late is told
        other.append({"sequence": 0}, {})


def test_a_crash_between_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    rest = tmp_path / "deleted" / "take.1234"
    rest.mkdir(parents=True)
    (rest / "capture.json").write_text("{}")
    takes = Takes(tmp_path)
    assert takes.names() == []
    assert not rest.exists()


def test_only_an_admin_may(tmp_path: Path) -> None:
    with running(Settings(data_dir=tmp_path), predictor=DotPredictor()) as client:
        key = new_key(tmp_path / FILE, "stage", ["read", "capture"])
        headers = {"Authorization": f"Bearer {key}"}
        for name in ("take", "frames"):  # a capture may be called as a scope's path ends
            path = f"/v1/captures/{name}"
            assert client.delete(path, headers=headers).status_code == 403
            refused = client.patch(path, headers=headers, json={"name": "x"})
            assert refused.status_code == 403
