from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from service.config import Settings, StoreSettings

from .dots import DotPredictor
from .server import running
from .world import FRAME_NS, RIG_YAML, as_files, frame_set, person

FRAMES = "/v1/rigs/studio/frames"


def post(client: httpx.Client, number: int, people: list[Any], capture: str = "take") -> Any:
    response = client.post(
        FRAMES,
        files=as_files(frame_set(people)),
        data={"timestamp_ns": str(number * FRAME_NS), "capture": capture},
    )
    assert response.status_code == 200, response.text
    return response.json()


def two(number: int) -> list[Any]:
    """Two people who walk past each other, 3 cm a frame."""
    return [person(-0.6 + 0.03 * number, 0.5), person(0.6 - 0.03 * number, -0.5)]


def places(result: Any) -> dict[int, float]:
    """Side of the room, by identity."""
    return {
        one["id"]: float(np.mean([one["joints"][joint]["position"][1] for joint in (11, 12)]))
        for one in result["people"]
    }


@pytest.fixture
def take(studio: httpx.Client) -> httpx.Client:
    response = studio.post("/v1/captures", json={"rig": "studio", "name": "take"})
    assert response.status_code == 201, response.text
    assert response.headers["Location"] == "/v1/captures/take"
    return studio


def test_identities_stay_with_their_people(take: httpx.Client) -> None:
    seen = [places(post(take, number, two(number))) for number in range(5)]
    assert all(set(one) == set(seen[0]) and len(one) == 2 for one in seen)
    for one in seen:
        assert all(np.sign(one[key]) == np.sign(seen[0][key]) for key in one)


def test_a_capture_tells_how_long_it_is(take: httpx.Client) -> None:
    empty = take.get("/v1/captures/take").json()
    assert (empty["frames"], empty["seconds"], empty["first_timestamp_ns"]) == (0, None, None)
    assert empty["camera_names"] == ["cam0", "cam1", "cam2", "cam3"]
    assert {"trc", "json", "csv"} <= set(empty["formats"])
    for number in range(4):
        post(take, number, two(number))
    full = take.get("/v1/captures/take").json()
    assert (full["frames"], full["rig"], full["calibration"]) == (4, "studio", "c1")
    assert full["seconds"] == pytest.approx(3 * FRAME_NS / 1e9)
    assert [one["name"] for one in take.get("/v1/captures").json()["captures"]] == ["take"]


def test_frames_come_in_pages(take: httpx.Client) -> None:
    sent = [post(take, number, []) for number in range(5)]
    first = take.get("/v1/captures/take/frames", params={"limit": 3}).json()
    rest = take.get("/v1/captures/take/frames", params={"from": first["next"]}).json()
    assert (first["next"], first["total"], rest["next"]) == (3, 5, None)
    assert first["frames"] + rest["frames"] == sent
    assert [frame["sequence"] for frame in sent] == [0, 1, 2, 3, 4]
    assert take.get("/v1/captures/take/frames", params={"from": 99}).json()["frames"] == []


def test_pictures_are_kept_reduced(take: httpx.Client) -> None:
    post(take, 0, two(0))
    response = take.get("/v1/captures/take/frames/0/cam2.jpg")
    assert response.headers["Content-Type"] == "image/jpeg"
    image = cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (400, 640, 3)
    assert take.get("/v1/captures/take/frames/1/cam2.jpg").status_code == 404
    assert take.get("/v1/captures/take/frames/0/cam9.jpg").status_code == 404


@pytest.mark.parametrize(("keep", "kept"), [("all", [0, 1, 2]), ("last", [2]), ("none", [])])
def test_how_many_pictures_are_kept_is_a_setting(
    settings: Settings, keep: Any, kept: list[int]
) -> None:
    chosen = settings.model_copy(update={"store": StoreSettings(keep_frames=keep)})
    with running(chosen, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        for number in range(3):
            post(client, number, [])
        address = "/v1/captures/take/frames/{}/cam0.jpg"
        found = [n for n in range(3) if client.get(address.format(n)).status_code == 200]
    assert found == kept


@pytest.mark.parametrize(
    ("kind", "media_type", "begins"),
    [
        ("trc", "text/tab-separated-values", b"PathFileType"),
        ("csv", "text/csv", b""),
        ("json", "application/json", b"{"),
    ],
)
def test_exports(take: httpx.Client, kind: str, media_type: str, begins: bytes) -> None:
    for number in range(6):
        post(take, number, [person(0.01 * number)])
    response = take.get("/v1/captures/take/export", params={"format": kind})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith(media_type)
    assert response.headers["Content-Disposition"] == f'attachment; filename="take.{kind}"'
    assert response.content.startswith(begins)


def test_an_export_is_raw_unless_smoothing_is_asked_for(take: httpx.Client) -> None:
    for number in range(12):
        post(take, number, [person(0.02 * (-1) ** number)])  # a tremble of 15 Hz

    def spread(**params: Any) -> float:
        text = take.get("/v1/captures/take/export", params={"format": "trc", **params}).text
        rows = [line.split("\t") for line in text.splitlines()[5:] if line.strip()]
        return float(np.std([float(row[2 + 3 * 11 + 2]) for row in rows[3:-3]]))

    assert spread() > 0.01
    assert spread(cutoff_hz=3) < 0.3 * spread()
    refused = take.get("/v1/captures/take/export", params={"format": "trc", "cutoff_hz": 0})
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/cutoff_hz")


def test_an_unknown_format_names_the_known_ones(take: httpx.Client) -> None:
    response = take.get("/v1/captures/take/export", params={"format": "fbx"})
    assert response.status_code == 422
    assert response.json()["pointer"] == "/format"
    assert "trc" in response.json()["detail"]


def test_an_empty_capture_cannot_be_exported(take: httpx.Client) -> None:
    response = take.get("/v1/captures/take/export", params={"format": "trc"})
    assert (response.status_code, response.json()["code"]) == (422, "unusable")


def test_time_goes_one_way(take: httpx.Client) -> None:
    post(take, 5, [])
    for stale in (4, 5):
        response = take.post(
            FRAMES,
            files=as_files(frame_set([])),
            data={"timestamp_ns": str(stale * FRAME_NS), "capture": "take"},
        )
        assert response.status_code == 422
        assert response.json()["pointer"] == "/timestamp_ns"
    assert post(take, 6, [])["sequence"] == 1


def test_a_frame_set_that_failed_may_be_posted_again(take: httpx.Client) -> None:
    post(take, 0, two(0))
    images = frame_set(two(1))
    broken = {**images, "cam0": images["cam0"][:100]}
    form = {"timestamp_ns": str(FRAME_NS), "capture": "take"}
    assert take.post(FRAMES, files=as_files(broken), data=form).status_code == 422
    again = take.post(FRAMES, files=as_files(images), data=form)
    assert again.status_code == 200
    assert again.json()["sequence"] == 2  # the gap tells of the one that failed
    assert len(take.get("/v1/captures/take/frames").json()["frames"]) == 2


def test_frame_sets_under_way_at_once_are_named_in_their_order(take: httpx.Client) -> None:
    """They enter in order; a pool answers in any."""
    numbers = range(12)
    with ThreadPoolExecutor(4) as pool:
        jobs = []
        for number in numbers:
            jobs.append(pool.submit(post, take, number, two(number)))
            # Long enough for its form to be read; the answer takes longer.
            while take.get("/v1/captures/take").json()["frames"] < number - 3:
                pass
        results = [job.result() for job in jobs if job.exception() is None]
    kept = take.get("/v1/captures/take/frames").json()["frames"]
    times = [frame["timestamp_ns"] for frame in kept]
    assert times == sorted(times)
    assert sorted(r["sequence"] for r in results) == [frame["sequence"] for frame in kept]
    assert len({key for frame in kept for key in places(frame)}) == 2


def test_a_restart_goes_on_with_the_same_people(settings: Settings) -> None:
    with running(settings, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        before = [post(client, number, two(number)) for number in range(4)]
    with running(settings, predictor=DotPredictor()) as client:
        assert client.get("/v1/captures/take/frames").json()["frames"] == before
        after = post(client, 4, two(4))
        assert after["sequence"] == 4
        assert {key: np.sign(y) for key, y in places(after).items()} == {
            key: np.sign(y) for key, y in places(before[-1]).items()
        }
        # Somebody new gets a number that nobody had.
        third = post(client, 5, [*two(5), person(1.2, 1.2)])
        assert len(third["people"]) == 3
        assert max(one["id"] for one in third["people"]) > max(places(after))


def test_a_take_of_another_version_is_refused_new_frames_but_stays_readable(
    settings: Settings,
) -> None:
    with running(settings, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        before = post(client, 0, two(0))
    lines = settings.data_dir / "captures" / "take" / "frames" / "00000000.jsonl"
    kept = json.loads(lines.read_text())
    lines.write_text(json.dumps({**kept, "tracker": {"format": "of another version"}}) + "\n")
    with running(settings, predictor=DotPredictor()) as client:
        assert client.get("/v1/captures/take/frames").json()["frames"] == [before]
        assert len(client.get("/v1/captures").json()["captures"]) == 1
        answer = client.post(
            FRAMES,
            files=as_files(frame_set(two(1))),
            data={"capture": "take", "timestamp_ns": str(10**12)},
        )
        assert answer.status_code == 422, answer.text


def test_a_line_that_a_crash_cut_off_is_overwritten(settings: Settings) -> None:
    with running(settings, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        for number in range(3):
            post(client, number, two(number))
    lines = settings.data_dir / "captures" / "take" / "frames" / "00000000.jsonl"
    whole = lines.read_bytes()
    cut_last_line(lines)
    with running(settings, predictor=DotPredictor()) as client:
        assert client.get("/v1/captures/take").json()["frames"] == 2
        assert post(client, 2, two(2))["sequence"] == 2
        assert len(client.get("/v1/captures/take/frames").json()["frames"]) == 3
    assert lines.read_bytes().count(b"\n") == whole.count(b"\n")


def cut_last_line(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-200])


def test_a_capture_keeps_the_calibration_it_began_with(take: httpx.Client) -> None:
    post(take, 0, [])
    assert take.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML).json()["calibration"] == "c2"
    assert post(take, 1, [])["calibration"] == "c1"
    plain = take.post(FRAMES, files=as_files(frame_set([]))).json()
    assert plain["calibration"] == "c2"


def test_a_name_is_made_up_when_none_is_given(studio: httpx.Client) -> None:
    response = studio.post("/v1/captures", json={"rig": "studio"})
    assert response.status_code == 201
    assert response.json()["name"].startswith("take-")
