"""Tickets and idempotent answers outlive the service, also where it is killed in the middle."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from service.answers import Answers
from service.config import Settings, StoreSettings

from .dots import DotPredictor
from .server import running, until
from .standalone import alone
from .world import FRAME_NS, RIG_YAML, as_files, frame_set, person

FRAMES = "/v1/rigs/studio/frames"
IMAGES = frame_set([person(0.2, 0.1)])


def post(client: httpx.Client, number: int, **headers: str) -> httpx.Response:
    return client.post(
        FRAMES,
        files=as_files(IMAGES),
        data={"timestamp_ns": str(number * FRAME_NS), "capture": "take"},
        headers=headers,
    )


def ticket_for(client: httpx.Client, number: int) -> str:
    response = post(client, number, Prefer="respond-async")
    assert response.status_code == 202, response.text
    return str(response.headers["Location"])


def answer(client: httpx.Client, ticket: str) -> httpx.Response:
    until(lambda: client.get(ticket).status_code != 202, f"{ticket} is answered")
    return client.get(ticket)


def begin(client: httpx.Client) -> None:
    client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
    client.post("/v1/captures", json={"rig": "studio", "name": "take"})


def test_answers_are_there_after_a_restart(settings: Settings) -> None:
    with running(settings, predictor=DotPredictor()) as client:
        begin(client)
        ticket = ticket_for(client, 0)
        first = answer(client, ticket)
        bad = ticket_for(client, 1)
        keyed = post(client, 2, **{"Idempotency-Key": "two"})
        assert (first.status_code, keyed.status_code) == (200, 200)
        known = answer(client, bad)
    with running(settings, predictor=DotPredictor()) as client:
        again = answer(client, ticket)
        assert (again.status_code, again.json()) == (200, first.json())
        assert answer(client, bad).json() == known.json()
        repeated = post(client, 2, **{"Idempotency-Key": "two"})
        assert (repeated.status_code, repeated.json()) == (200, keyed.json())
        other = post(client, 3, **{"Idempotency-Key": "two"})
        assert (other.status_code, other.json()["code"]) == (422, "bad_identity")
        assert client.get("/v1/captures/take").json()["frames"] == 3
    assert not list((settings.data_dir / "tickets").glob("*/*.picture"))


def test_an_error_is_a_ticket_s_answer_too(settings: Settings) -> None:
    images = {**IMAGES, "cam1": IMAGES["cam1"][:80]}
    with running(settings, predictor=DotPredictor()) as client:
        begin(client)
        ticket = client.post(
            FRAMES, files=as_files(images), headers={"Prefer": "respond-async"}
        ).headers["Location"]
        said = answer(client, ticket)
    with running(settings, predictor=DotPredictor()) as client:
        again = answer(client, ticket)
    for one in (said, again):
        assert (one.status_code, one.json()["code"]) == (422, "broken_image")
        assert one.json()["pointer"] == "/cam1"


@pytest.mark.parametrize("path", ["0" * 24, "..", "x", "0" * 23, "%2e%2e%2ftickets"])
def test_a_ticket_that_never_was(client: httpx.Client, path: str) -> None:
    assert client.get(f"/v1/tickets/{path}").status_code == 404


@pytest.mark.slow
def test_a_service_that_is_killed_answers_its_tickets_after_the_restart(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with alone(data_dir) as (client, _):
        begin(client)
        done = ticket_for(client, 0)
        kept = answer(client, done).json()
        keyed = post(client, 1, **{"Idempotency-Key": "one"}).json()
        (data_dir / "hold").touch()
        open_tickets = [ticket_for(client, number) for number in (2, 3, 4)]
    (data_dir / "hold").unlink()
    # As if the kill had come between the result on the disk and the answer that is remembered.
    answers = Answers(data_dir / "answers", StoreSettings())
    known = answers.get("studio/one")
    assert known is not None
    answers.put("studio/one", {**known, "result": None})
    with alone(data_dir) as (client, _):
        assert answer(client, done).json() == kept
        results = [answer(client, ticket).json() for ticket in open_tickets]
        assert [one["timestamp_ns"] for one in results] == [n * FRAME_NS for n in (2, 3, 4)]
        assert post(client, 1, **{"Idempotency-Key": "one"}).json() == keyed
        frames = client.get("/v1/captures/take/frames").json()["frames"]
    # Every accepted frame set once, in order, of the same person.
    assert frames == [kept, keyed, *results]
    assert {one["people"][0]["id"] for one in frames} == {0}


def test_answers_go_by_age_and_number(tmp_path: Path) -> None:
    settings = StoreSettings(answers=3, answers_s=100.0)
    answers = Answers(tmp_path, settings)
    for number in range(5):
        answers.put(f"key {number}", {"n": number})
        path = max(tmp_path.glob("*.json"), key=lambda one: one.stat().st_mtime_ns)
        stamp = path.stat().st_mtime - (50.0 - number)
        os.utime(path, (stamp, stamp))
    answers.sweep()
    assert [answers.get(f"key {n}") for n in range(5)] == [
        None,
        None,
        *[{"n": n} for n in (2, 3, 4)],
    ]
    for path in tmp_path.glob("*.json"):
        os.utime(path, (0, 0))
    assert answers.get("key 4") is None  # too old, swept or not
    Answers(tmp_path, settings)
    assert not list(tmp_path.glob("*.json"))
