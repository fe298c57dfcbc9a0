from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np

from service.config import QueueSettings, Settings

from .dots import DotPredictor, draw, png, standing
from .server import running, until
from .world import RIG, RIG_YAML, as_files, errors_m, frame_set, person

FRAMES = "/v1/rigs/studio/frames"


def test_a_frame_set_gives_people_in_metres(studio: httpx.Client) -> None:
    truth = person(0.3, -0.2)
    response = studio.post(
        FRAMES, files=as_files(frame_set([truth])), data={"timestamp_ns": "1785000000000000000"}
    )
    assert response.status_code == 200, response.text
    result = response.json()
    assert set(result) == {
        "rig",
        "calibration",
        "capture",
        "sequence",
        "timestamp_ns",
        "units",
        "skeleton",
        "model",
        "people",
        "posted",
        "single_view",
        "timings_ms",
    }
    assert (result["rig"], result["calibration"], result["units"]) == ("studio", "c1", "m")
    assert (result["capture"], result["sequence"]) == (None, None)
    assert result["timestamp_ns"] == 1785000000000000000
    assert result["model"] == {"name": "dots", "sha256": "0" * 64}
    (found,) = result["people"]
    positions = np.array([joint["position"] or [np.nan] * 3 for joint in found["joints"]])
    assert np.median(errors_m(positions, truth)) < 0.002
    assert set(found["views"]) == set(RIG.names)
    assert {"queue", "decode", "network", "grouping"} <= set(result["timings_ms"])


def test_a_missing_view_is_allowed(studio: httpx.Client) -> None:
    images = frame_set([person()])
    del images["cam3"]
    result = studio.post(FRAMES, files=as_files(images)).json()
    (found,) = result["people"]
    assert set(found["views"]) == {"cam0", "cam1", "cam2"}
    assert max(joint["views"] for joint in found["joints"]) == 3


def test_one_view_alone_gives_people_in_2d(studio: httpx.Client) -> None:
    images = {"cam1": frame_set([person()])["cam1"]}
    result = studio.post(FRAMES, files=as_files(images)).json()
    assert result["people"] == []
    assert len(result["single_view"]["cam1"]) == 1


def test_the_time_of_arrival_stands_in_for_a_missing_one(studio: httpx.Client) -> None:
    first, second = (
        studio.post(FRAMES, files=as_files(frame_set([]))).json()["timestamp_ns"] for _ in range(2)
    )
    assert 1_700_000_000_000_000_000 < first < second


def test_one_picture_without_a_rig(client: httpx.Client) -> None:
    joints = standing(300, 200, 250)
    data = png(draw([joints], (640, 400), face_radius_px=3))
    response = client.post("/v1/images", files={"image": ("x.png", data)})
    assert response.status_code == 200, response.text
    result = response.json()
    assert (result["size_px"], result["skeleton"]) == ([640, 400], "coco17")
    (found,) = result["people"]
    assert np.abs(np.array(found["joints_px"])[:, :2] - joints).max() < 0.5


def test_a_ticket_is_exchanged_for_the_result(studio: httpx.Client) -> None:
    response = studio.post(
        FRAMES, files=as_files(frame_set([person()])), headers={"Prefer": "respond-async"}
    )
    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "respond-async"
    address = response.headers["Location"]
    until(lambda: studio.get(address).status_code == 200, "the ticket's result")
    assert len(studio.get(address).json()["people"]) == 1


def test_a_ticket_tells_the_error_that_its_frame_set_ended_with(studio: httpx.Client) -> None:
    images = frame_set([person()])
    images["cam0"] = images["cam0"][:200]
    response = studio.post(FRAMES, files=as_files(images), headers={"Prefer": "respond-async"})
    address = response.headers["Location"]
    until(lambda: studio.get(address).status_code != 202, "the ticket's end")
    problem = studio.get(address).json()
    assert (problem["status"], problem["code"]) == (422, "broken_image")


def test_an_idempotency_key_does_a_frame_set_once(
    studio: httpx.Client, predictor: DotPredictor
) -> None:
    studio.post("/v1/captures", json={"rig": "studio", "name": "once"})
    files = as_files(frame_set([person()]))
    form = {"timestamp_ns": "5", "capture": "once"}
    send = {"files": files, "data": form, "headers": {"Idempotency-Key": "a"}}
    first, second = studio.post(FRAMES, **send), studio.post(FRAMES, **send)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert studio.get("/v1/captures/once").json()["frames"] == 1
    other = studio.post(FRAMES, **{**send, "data": {"timestamp_ns": "6", "capture": "once"}})
    assert (other.status_code, other.json()["code"]) == (422, "bad_identity")


def test_frame_sets_of_many_clients_share_batches_and_each_gets_its_own(
    settings: Settings,
) -> None:
    """Held up until all wait, so that the batcher has something to gather."""
    hold = threading.Event()
    predictor = DotPredictor(hold=hold)
    places = [(0.1 * index, -0.05 * index) for index in range(6)]
    with running(settings, predictor=predictor) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        with ThreadPoolExecutor(len(places)) as pool:
            jobs = [
                pool.submit(client.post, FRAMES, files=as_files(frame_set([person(*place)])))
                for place in places
            ]
            until(lambda: waiting(client) == len(places), "all wait")
            hold.set()
            for place, job in zip(places, jobs, strict=True):
                (found,) = job.result().json()["people"]
                hips = [found["joints"][joint]["position"] for joint in (11, 12)]
                assert np.abs(np.mean(hips, axis=0)[:2] - place).max() < 0.03
    # The warm-up and the one that was held; the other five in batches of two.
    assert predictor.batches[0] == 8
    assert max(predictor.batches[1:]) == 8
    assert sum(predictor.batches[1:]) == 4 * len(places)


def waiting(client: httpx.Client) -> float:
    """Frame sets in the queue, from the metrics."""
    lines = client.get("/metrics").text.splitlines()
    (line,) = (line for line in lines if line.startswith("quadglass_queue_tasks "))
    return float(line.split()[1])


def test_shutting_down_answers_what_was_accepted(settings: Settings) -> None:
    hold = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with running(settings, predictor=DotPredictor(hold=hold)) as client:
            client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
            # A client of its own: that of the block is closed with it.
            job = pool.submit(
                httpx.post,
                f"{client.base_url}{FRAMES}",
                files=as_files(frame_set([person()])),
                timeout=30,
            )
            until(lambda: waiting(client) == 1, "it waits")
            threading.Timer(0.5, hold.set).start()
        assert job.result().status_code == 200


def test_what_expired_while_it_waited_is_never_decoded(settings: Settings) -> None:
    hold = threading.Event()
    predictor = DotPredictor(hold=hold)
    quick = settings.model_copy(update={"queue": QueueSettings(deadline_s=0.3)})
    with running(quick, predictor=predictor) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        files = as_files(frame_set([person()]))
        with ThreadPoolExecutor(3) as pool:
            # Two fill the batch that is held; the third waits behind it.
            jobs = [pool.submit(client.post, FRAMES, files=files) for _ in range(3)]
            responses = [job.result() for job in jobs]
        assert [response.status_code for response in responses] == [504] * 3
        assert responses[0].json()["code"] == "deadline_passed"
        hold.set()
        until(lambda: waiting(client) == 0, "the queue is empty")
        assert client.post(FRAMES, files=files).status_code == 200


def test_too_many_requests_under_way_are_refused_before_they_are_read(settings: Settings) -> None:
    """Twice the queue's length at most hold pictures in memory."""
    short = settings.model_copy(update={"queue": QueueSettings(length=1)})
    with running(short, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        port = client.base_url.port or 80
        head = (
            f"POST {FRAMES} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
        )
        slow = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(2)]
        for line in slow:
            line.sendall(head.encode())  # and nothing more for now
        files = as_files(frame_set([person()]))
        until(lambda: client.post(FRAMES, files=files).status_code == 429, "refused")
        refused = client.post(FRAMES, files=files)
        assert refused.json()["code"] == "queue_full"
        assert refused.headers["Retry-After"] == "1"
        for line in slow:
            line.close()
        until(lambda: client.post(FRAMES, files=files).status_code == 200, "taken again")
