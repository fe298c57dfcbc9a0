"""What a poster does: a rig in, a capture made, frame sets in, a take out, all over HTTP."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx

from ..commands.screen import Step
from ..errors import ServiceError
from ..videos import FrameSet, Image

__all__ = ["Refused", "Service"]

TIMEOUT_S = 120.0
JPEG_QUALITY = 95  # four views of 1088 x 1920 px are 1.5 MB then
POLL_S = 0.3
TICKET_POLL_S = 0.01
IN_FLIGHT = 4  # frame sets that the service has at once
AHEAD = 2  # frame sets encoded while the service works
Files = dict[str, tuple[str, bytes, str]]  # by camera: file name, bytes, media type


class Refused(ServiceError):
    """The service answered with an error."""

    code = "refused"

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status  # None: it did not answer


class Service:
    """A connection to a running service (state: the connection)."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=address, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()

    def put_rig(self, name: str, content: str | bytes) -> None:
        """Makes the rig of that name, calibrated, from any file that the service can read."""
        self._ask("PUT", f"/v1/rigs/{name}/rig.yaml", content=content)

    def rig_yaml(self, name: str) -> str:
        """The rig file."""
        return self._ask("GET", f"/v1/rigs/{name}/rig.yaml").text

    def calibrate(
        self,
        rig: str,
        pictures: Mapping[str, Sequence[Path]],
        values: Mapping[str, str],
        step: Step,
    ) -> dict[str, Any]:
        """Calibrates a rig from pictures of a board, and puts the result in force; its report.

        Raises:
            Refused: the service refuses, or the calibration fails.
        """
        try:
            self._ask("POST", "/v1/rigs", json={"name": rig})
        except Refused as error:
            if error.status != httpx.codes.CONFLICT:  # it is there from an earlier run
                raise
        files = [
            (camera, (path.name, path.read_bytes(), "image/jpeg"))
            for camera, paths in pictures.items()
            for path in paths
        ]
        job = self._ask("POST", f"/v1/rigs/{rig}/calibrations", data=values, files=files).json()
        while job["state"] not in ("done", "failed", "cancelled"):
            time.sleep(POLL_S)
            job = self._ask("GET", f"/v1/jobs/{job['id']}").json()
            now = job["progress"]
            step(now["done"] or 0, now["total"], now["stage"])
        if job["state"] != "done":
            raise Refused(f"the calibration {job['state']}: {(job['problem'] or {}).get('detail')}")
        self._ask("POST", f"/v1/calibrations/{job['calibration']}/activate")
        return dict(self._ask("GET", f"/v1/calibrations/{job['calibration']}/report.json").json())

    def new_capture(self, rig: str, name: str) -> str:
        """A new capture of the rig; its name."""
        made = self._ask("POST", "/v1/captures", json={"rig": rig, "name": name}).json()
        return str(made["name"])

    def post(self, rig: str, capture: str, frames: Iterable[FrameSet]) -> Iterator[dict[str, Any]]:
        """Posts frame sets in order, some ahead of their answers; the results, in order.

        With `Prefer: respond-async` the service answers with a ticket at once, so that it always
        has something to do while the next pictures are encoded here.
        """
        encoding: deque[tuple[int, Future[Files]]] = deque()
        tickets: deque[str] = deque()
        with ThreadPoolExecutor(1) as encoder:
            for frame_set in frames:
                files = encoder.submit(_encoded, frame_set.images)
                encoding.append((frame_set.timestamp_ns, files))
                if len(encoding) > AHEAD:
                    tickets.append(self._ticket(rig, capture, *encoding.popleft()))
                if len(tickets) > IN_FLIGHT:
                    yield self._redeem(tickets.popleft())
            tickets.extend(self._ticket(rig, capture, *entry) for entry in encoding)
            yield from map(self._redeem, tickets)

    def export(self, capture: str, form: str) -> bytes:
        """The take in a format."""
        path = f"/v1/captures/{capture}/export"
        return self._ask("GET", path, params={"format": form}).content

    def _ticket(self, rig: str, capture: str, timestamp_ns: int, files: Future[Files]) -> str:
        fields = {"timestamp_ns": str(timestamp_ns), "capture": capture}
        answer = self._ask(
            "POST",
            f"/v1/rigs/{rig}/frames",
            data=fields,
            files=files.result(),
            headers={"Prefer": "respond-async"},
        )
        return str(answer.headers["location"])

    def _redeem(self, ticket: str) -> dict[str, Any]:
        answer = self._ask("GET", ticket)
        while answer.status_code == httpx.codes.ACCEPTED:
            time.sleep(TICKET_POLL_S)
            answer = self._ask("GET", ticket)
        return dict(answer.json())

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise Refused(f"{method} {path}: no answer ({error})") from error
        if not answer.is_success:
            message = f"{method} {path}: {answer.status_code} {_reason(answer)}"
            raise Refused(message, answer.status_code)
        return answer


def _encoded(images: Mapping[str, Image]) -> Files:
    files: Files = {}
    for name, image in images.items():
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        files[name] = (f"{name}.jpg", data.tobytes(), "image/jpeg")
    return files


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]
