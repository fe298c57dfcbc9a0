"""Long work in the background: what is known about a job, kept on disk and told to listeners."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .errors import NotFound
from .files import read_json, write_json
from .names import checked_name
from .store import now

__all__ = ["Job", "JobBoard", "JobState"]

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
_QUIET_S = 15.0
_OVER = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of long work, as it stands."""

    id: str
    kind: str  # calibration
    rig: str
    request: Mapping[str, Any]  # what was asked for
    created: str
    state: JobState = "queued"
    stage: str = ""
    progress_done: int = 0
    progress_total: int = 0
    finished: str | None = None
    calibration: str | None = None  # what came of it
    problem: Mapping[str, Any] | None = None  # why nothing did

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in _OVER


class JobBoard:
    """All jobs (state: files, and who listens). Changed from any thread."""

    def __init__(
        self,
        root: Path,
        telling: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        """All jobs of a data directory.

        Args:
            root: the directory.
            telling: entered, with a job's id, around the writing of its end.
        """
        self._telling = telling
        self._root = root / "jobs"
        self._root.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._listeners: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        for path in self._root.glob("*/job.json"):
            job = Job(**read_json(path))
            self._jobs[job.id] = job

    def new_id(self) -> str:
        """An id whose directory exists, for the uploads that come before the job."""
        job_id = f"j{secrets.token_hex(8)}"
        self.directory(job_id).mkdir()
        return job_id

    def directory(self, job_id: str) -> Path:
        """Where a job keeps its files."""
        return self._root / checked_name("job", job_id)

    def add(self, job: Job) -> None:
        """A new job."""
        self._put(job, durable=True)

    def job(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFound: there is none of that id.
        """
        checked_name("job", job_id)
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}; its address came with the 202")
        return job

    def jobs(self, rig: str | None = None) -> list[Job]:
        """All jobs, or those of a rig, oldest first."""
        with self._lock:
            found = [job for job in self._jobs.values() if rig is None or job.rig == rig]
        return sorted(found, key=lambda job: job.created)

    def progress(self, job_id: str, stage: str, done: int, total: int) -> None:
        """How far a running job is; told, not written to disk."""
        job = self.job(job_id)
        self._put(
            replace(job, stage=stage, progress_done=done, progress_total=total), durable=False
        )

    def change(self, job_id: str, **values: Any) -> Job:
        """Another state, on disk before it is told."""
        job = replace(self.job(job_id), **values)
        if job.over and job.finished is None:
            job = replace(job, finished=now())
        with self._telling(job_id) if job.over else nullcontext():
            self._put(job, durable=True)
        return job

    async def follow(self, job_id: str) -> AsyncIterator[Job]:
        """The job now and after every change, until it is over; quick changes are joined.

        It is told again after a quiet while too, or a proxy would cut the line.
        """
        changed = asyncio.Event()
        listener = (asyncio.get_running_loop(), changed)
        with self._lock:
            self._listeners.setdefault(job_id, []).append(listener)
        try:
            while True:
                changed.clear()
                job = self.job(job_id)
                yield job
                if job.over:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _QUIET_S)
        finally:
            with self._lock:
                self._listeners[job_id].remove(listener)

    def _put(self, job: Job, *, durable: bool) -> None:
        if durable:
            write_json(self.directory(job.id) / "job.json", asdict(job))
        with self._lock:
            self._jobs[job.id] = job
            listeners = list(self._listeners.get(job.id, ()))
        for loop, changed in listeners:
            loop.call_soon_threadsafe(changed.set)
