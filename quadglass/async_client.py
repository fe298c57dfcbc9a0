"""The client for programs with an event loop: `Client`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx

from . import calls
from .calls import Call, Json, Picture
from .client import OVER, PAGE, POLL_S, finished, headers_of
from .live import AsyncStream, Mode, stream_address
from .results import PictureResult, Result
from .retry import Retry, failed, wait_s

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient:
    """A service, awaited. Methods, arguments and errors are those of `Client`."""

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
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=headers_of(key), timeout=timeout_s
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """See `Client.close`."""
        await self._http.aclose()

    async def ready(self) -> Json:
        """See `Client.ready`."""
        return await self._send(calls.ready())

    async def rigs(self) -> list[Json]:
        """See `Client.rigs`."""
        return await self._send(calls.rigs())

    async def rig(self, name: str) -> Json:
        """See `Client.rig`."""
        return await self._send(calls.rig(name))

    async def rig_file(self, name: str) -> str:
        """See `Client.rig_file`."""
        return await self._send(calls.rig_file(name))

    async def create_rig(
        self, name: str, kind: Literal["quad", "stereo", "multi"] = "quad"
    ) -> Json:
        """See `Client.create_rig`."""
        return await self._send(calls.create_rig(name, kind))

    async def put_rig(self, name: str, calibration: str | bytes | Path) -> Json:
        """See `Client.put_rig`."""
        return await self._send(calls.put_rig(name, calibration))

    async def calibrate(
        self,
        rig: str,
        board: str,
        square_mm: float,
        footage: Mapping[str, Iterable[Path]],
        **values: Any,
    ) -> Json:
        """See `Client.calibrate`."""
        return await self._send(calls.calibrate(rig, board, square_mm, footage, values))

    async def job(self, identity: str) -> Json:
        """See `Client.job`."""
        return await self._send(calls.job(identity))

    async def cancel_job(self, identity: str) -> Json:
        """See `Client.cancel_job`."""
        return await self._send(calls.cancel_job(identity))

    async def wait(self, job: Json) -> Json:
        """See `Client.wait`."""
        while job["state"] not in OVER:
            await asyncio.sleep(POLL_S)
            job = await self.job(job["id"])
        return finished(job)

    async def detect(self, picture: Picture) -> PictureResult:
        """See `Client.detect`."""
        return await self._send(calls.detect(picture))

    async def post_frames(
        self,
        rig: str,
        pictures: Mapping[str, Picture],
        *,
        timestamp_ns: int | None = None,
        capture: str | None = None,
    ) -> Result:
        """See `Client.post_frames`."""
        return await self._send(calls.post_frames(rig, pictures, timestamp_ns, capture))

    async def captures(self) -> list[Json]:
        """See `Client.captures`."""
        return await self._send(calls.captures())

    async def capture(self, name: str) -> Json:
        """See `Client.capture`."""
        return await self._send(calls.capture(name))

    async def create_capture(self, rig: str, name: str | None = None) -> Json:
        """See `Client.create_capture`."""
        return await self._send(calls.create_capture(rig, name))

    async def rename_capture(self, name: str, new_name: str) -> Json:
        """See `Client.rename_capture`."""
        return await self._send(calls.rename_capture(name, new_name))

    async def delete_capture(self, name: str) -> None:
        """See `Client.delete_capture`."""
        await self._send(calls.delete_capture(name))

    async def results(self, capture: str) -> AsyncIterator[Result]:
        """See `Client.results`."""
        first: int | None = 0
        while first is not None:
            page, first = await self._send(calls.frames(capture, first, PAGE))
            for result in page:
                yield result

    async def export(self, capture: str, form: str, *, cutoff_hz: float | None = None) -> bytes:
        """See `Client.export`."""
        return await self._send(calls.export(capture, form, cutoff_hz))

    def stream(
        self,
        rig: str,
        *,
        capture: str | None = None,
        mode: Mode = "all",
        tolerance_ms: float = 10.0,
    ) -> AsyncStream:
        """See `Client.stream`; use it with `async with`."""
        return AsyncStream(stream_address(self.url, rig, capture, mode, tolerance_ms), self._key)

    async def _send(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            attempt += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(call.method, call.path, **call.arguments())
                if outcome.is_success:
                    return call.read(outcome)
            except httpx.TransportError as error:
                outcome = error
            pause = wait_s(self._retry, attempt, call.repeatable, outcome)
            if pause is None:
                raise failed(self.url, outcome)
            await asyncio.sleep(pause)
