"""The client for ordinary programs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx

from . import calls
from .calls import Call, Json, Picture
from .live import Mode, Stream, stream_address
from .problem import Problem
from .results import PictureResult, Result
from .retry import Retry, failed, wait_s

__all__ = ["Client"]

T = TypeVar("T")
PAGE = 200  # results asked for at once
POLL_S = 0.5
OVER = frozenset({"done", "failed", "cancelled"})  # states of a job


class Client:
    """A service, called and waited for. Every method may raise `Problem` or `Unreachable`."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        *,
        timeout_s: float = 60.0,
        retry: Retry | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._retry = retry or Retry()
        self._http = httpx.Client(base_url=self.url, headers=headers_of(key), timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def ready(self) -> Json:
        """Queue, workers and network of a service that would answer now; waits for it."""
        return self._send(calls.ready())

    def rigs(self) -> list[Json]:
        """All rigs."""
        return self._send(calls.rigs())

    def rig(self, name: str) -> Json:
        """One rig with its cameras."""
        return self._send(calls.rig(name))

    def rig_file(self, name: str) -> str:
        """The active calibration of a rig as YAML."""
        return self._send(calls.rig_file(name))

    def create_rig(self, name: str, kind: Literal["quad", "stereo", "multi"] = "quad") -> Json:
        """A rig to be calibrated."""
        return self._send(calls.create_rig(name, kind))

    def put_rig(self, name: str, calibration: str | bytes | Path) -> Json:
        """Gives a rig a calibration of one's own; its text, its bytes or where it lies."""
        return self._send(calls.put_rig(name, calibration))

    def calibrate(
        self,
        rig: str,
        board: str,
        square_mm: float,
        footage: Mapping[str, Iterable[Path]],
        **values: Any,
    ) -> Json:
        """Begins a calibration; `wait` for the job that it answers with.

        Args:
            rig: whose.
            board: `9x6` inner corners, or `charuco:7x5:DICT_4X4_1000`.
            square_mm: side of a square, measured on the print.
            footage: each camera's pictures (those of one moment share a file name) or its video.
            **values: further fields of the form, such as `world="floor"`.
        """
        return self._send(calls.calibrate(rig, board, square_mm, footage, values))

    def job(self, identity: str) -> Json:
        """How far a job is."""
        return self._send(calls.job(identity))

    def cancel_job(self, identity: str) -> Json:
        """Asks a job to stop."""
        return self._send(calls.cancel_job(identity))

    def wait(self, job: Json) -> Json:
        """The job once it is done.

        Raises:
            Problem: it failed or was cancelled.
        """
        while job["state"] not in OVER:
            time.sleep(POLL_S)
            job = self.job(job["id"])
        return finished(job)

    def detect(self, picture: Picture) -> PictureResult:
        """People in one picture, in 2D."""
        return self._send(calls.detect(picture))

    def post_frames(
        self,
        rig: str,
        pictures: Mapping[str, Picture],
        *,
        timestamp_ns: int | None = None,
        capture: str | None = None,
    ) -> Result:
        """People in a frame set. Tried again while the service is full, and never done twice.

        Args:
            rig: which cameras these are.
            pictures: encoded, by camera; some may be missing.
            timestamp_ns: when they were taken; now, if not given.
            capture: whose identities they get.
        """
        return self._send(calls.post_frames(rig, pictures, timestamp_ns, capture))

    def captures(self) -> list[Json]:
        """All captures, newest first."""
        return self._send(calls.captures())

    def capture(self, name: str) -> Json:
        """One capture."""
        return self._send(calls.capture(name))

    def create_capture(self, rig: str, name: str | None = None) -> Json:
        """A capture to post frames into."""
        return self._send(calls.create_capture(rig, name))

    def rename_capture(self, name: str, new_name: str) -> Json:
        """The same capture under another name; refused (409) while it is recorded."""
        return self._send(calls.rename_capture(name, new_name))

    def delete_capture(self, name: str) -> None:
        """Removes results and pictures for good; refused (409) while it is recorded."""
        self._send(calls.delete_capture(name))

    def results(self, capture: str) -> Iterator[Result]:
        """All results of a capture, fetched page by page."""
        first: int | None = 0
        while first is not None:
            page, first = self._send(calls.frames(capture, first, PAGE))
            yield from page

    def export(self, capture: str, form: str, *, cutoff_hz: float | None = None) -> bytes:
        """A whole take as a file of that format: `trc`, `c3d`, `bvh`, `glb`, `csv`, `parquet`."""
        return self._send(calls.export(capture, form, cutoff_hz))

    def stream(
        self,
        rig: str,
        *,
        capture: str | None = None,
        mode: Mode = "all",
        tolerance_ms: float = 10.0,
    ) -> Stream:
        """A live stream; use it with `with`."""
        return Stream(stream_address(self.url, rig, capture, mode, tolerance_ms), self._key)

    def _send(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            attempt += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(call.method, call.path, **call.arguments())
                if outcome.is_success:
                    return call.read(outcome)
            except httpx.TransportError as error:
                outcome = error
            pause = wait_s(self._retry, attempt, call.repeatable, outcome)
            if pause is None:
                raise failed(self.url, outcome)
            time.sleep(pause)


def headers_of(key: str | None) -> dict[str, str]:
    """Headers of every request."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def finished(job: Json) -> Json:
    """A job that is over, if it went well.

    Raises:
        Problem: it failed or was cancelled.
    """
    if job["state"] == "done":
        return job
    problem = job.get("problem") or {"title": f"job {job['id']} was cancelled", "code": "cancelled"}
    raise Problem(int(problem.get("status", 0)), problem)
