"""Answers that are fetched later: what `Prefer: respond-async` gets instead of waiting.

    tickets/TICKET/request.json     what was posted, and by which service process it is worked on
    tickets/TICKET/CAMERA.picture   its pictures, until it is answered
    tickets/TICKET/answer.json      the result, or the error that it ended with
    tickets/SERVICE.lock            held while that process lives

A ticket is told once its request is on the disk. What a process leaves unanswered when it dies is
taken up by the next one that starts.
"""

from __future__ import annotations

import asyncio
import fcntl
import re
import secrets
import shutil
import time
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from starlette.concurrency import run_in_threadpool

from .config import StoreSettings
from .errors import NotFound, code_of, from_wire
from .files import read_json, write_atomic, write_json
from .task import Posted

__all__ = ["Tickets"]

_TICKET = re.compile(r"[0-9a-f]{24}")
_PICTURE = ".picture"
_SWEEP_EVERY = 500  # tickets issued


class Tickets:
    """Work under way or done, by ticket (state: the tasks of this process, and the files)."""

    def __init__(self, directory: Path, settings: StoreSettings) -> None:
        self._directory = directory
        self._settings = settings
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._issued = 0
        directory.mkdir(parents=True, exist_ok=True)
        self._service = secrets.token_hex(8)
        self._lock: IO[bytes] = (directory / f"{self._service}.lock").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._sweep()

    async def issue(
        self, rig: str, posted: Posted, work: Coroutine[Any, Any, dict[str, Any]]
    ) -> str:
        """Starts the work; the ticket to ask for it with, once the request is on the disk."""
        ticket = secrets.token_hex(12)
        self.work_on(ticket, work)
        await run_in_threadpool(self._write_request, ticket, rig, posted)
        return ticket

    def work_on(self, ticket: str, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        """Lets a ticket's answer be what the work gives or raises."""
        task = asyncio.create_task(self._answered(ticket, work))
        self._tasks[ticket] = task
        task.add_done_callback(lambda _: self._tasks.pop(ticket, None))

    async def result(self, ticket: str) -> dict[str, Any] | None:
        """The result, None while it is worked on; raises what the work raised.

        Raises:
            NotFound: never issued, or forgotten since.
        """
        return await run_in_threadpool(self._read, ticket)

    def left(self) -> Iterator[tuple[str, str, Posted]]:
        """Ticket, rig and frame set of what dead processes left, oldest first; ours from now on."""
        found = []
        for path in self._directory.glob("*/request.json"):
            if not (path.parent / "answer.json").exists():
                request = read_json(path)
                found.append((request["created"], path.parent, request))
        for _, directory, request in sorted(found, key=lambda one: one[0]):
            if request["service"] in (self._service, *self._alive()):
                continue
            write_json(directory / "request.json", {**request, "service": self._service})
            images = {
                path.name.removesuffix(_PICTURE): path.read_bytes()
                for path in sorted(directory.glob(f"*{_PICTURE}"))
            }
            posted = Posted(images, request["timestamp_ns"], request["capture"])
            yield directory.name, request["rig"], posted

    async def finish(self) -> None:
        """Waits for what is under way."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._lock.close()
        (self._directory / f"{self._service}.lock").unlink(missing_ok=True)

    async def _answered(self, ticket: str, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        answer: dict[str, Any]
        try:
            answer = {"result": await work}
        except Exception as error:
            place = {name: getattr(error, name, None) for name in ("field", "camera")}
            answer = {"error": {"code": code_of(error), "message": str(error), **place}}
        await run_in_threadpool(self._write_answer, ticket, answer)

    def _write_request(self, ticket: str, rig: str, posted: Posted) -> None:
        directory = self._directory / ticket
        directory.mkdir(exist_ok=True)
        if not (directory / "answer.json").exists():
            for camera, data in posted.images.items():
                write_atomic(directory / f"{camera}{_PICTURE}", data)
        request = {
            "rig": rig,
            "timestamp_ns": posted.timestamp_ns,
            "capture": posted.capture,
            "created": time.time(),
            "service": self._service,
        }
        write_json(directory / "request.json", request)
        self._issued += 1
        if self._issued % _SWEEP_EVERY == 0:
            self._sweep()

    def _write_answer(self, ticket: str, answer: Mapping[str, Any]) -> None:
        directory = self._directory / ticket
        directory.mkdir(exist_ok=True)
        write_json(directory / "answer.json", answer)
        for path in directory.glob(f"*{_PICTURE}"):
            path.unlink(missing_ok=True)

    def _read(self, ticket: str) -> dict[str, Any] | None:
        directory = self._directory / ticket
        if not _TICKET.fullmatch(ticket) or not directory.exists():
            raise NotFound(
                f"there is no ticket {ticket[:40]!r}: never issued, or older than "
                f"store.answers_s ({self._settings.answers_s:g} s) or the last "
                f"{self._settings.answers}"
            )
        try:
            answer = read_json(directory / "answer.json")
        except FileNotFoundError:
            return None
        if "error" in answer:
            raise from_wire(**answer["error"])
        return dict(answer["result"])

    def _alive(self) -> set[str]:
        """Processes whose lock is held."""
        alive = set()
        for path in self._directory.glob("*.lock"):
            with path.open("rb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    alive.add(path.stem)
        return alive

    def _sweep(self) -> None:
        """Removes what is too old or too much, and the locks of the dead."""
        alive = {self._service, *self._alive()}
        for path in self._directory.glob("*.lock"):
            if path.stem not in alive:
                path.unlink(missing_ok=True)
        answered = sorted(
            (path.stat().st_mtime, path.parent) for path in self._directory.glob("*/answer.json")
        )
        oldest = time.time() - self._settings.answers_s
        surplus = len(answered) - self._settings.answers
        for place, (at, directory) in enumerate(answered):
            if place < surplus or at < oldest:
                shutil.rmtree(directory, ignore_errors=True)
