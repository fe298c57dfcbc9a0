"""Calibrations in the background, one after the other: footage on disk in, a calibration out."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.board import check_board_for_rig, parse_board
from calibration.calibrate import CalibrateSettings, Calibration, Progress, calibrate
from calibration.errors import Cancelled
from calibration.lens_choice import check_words, parse_fixed
from calibration.prepare import CANDIDATES, footage_from_dir, footage_from_quad, parse_layout
from calibration.rig import Rig
from calibration.settings import lenses_in, models_of

from .config import StoreSettings
from .errors import Conflict, QueueFull, code_of
from .jobs import Job, JobBoard
from .metrics import Metrics
from .problems import problem_of
from .store import Store, now

__all__ = ["CalibrationJobs", "CalibrationRequest"]

logger = logging.getLogger(__name__)

# Nobody knows beforehand how long a calibration takes; a minute is the order of most.
_RETRY_AFTER_S = 60.0
_KIND = "calibration"


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """What a poster asked for, besides the footage."""

    board: str  # inner corners, 9x6
    square_mm: float
    kind: str | None = None  # quad | stereo | multi; None: by the number of cameras
    layout: str | None = None  # of four-in-one footage
    reference: str | None = None  # the camera that anchors the world
    world: str | None = None  # reference | board | floor
    world_moment: str | None = None  # whose board is the world
    lens: str | None = None  # models of lenses: fisheye, or cam0:fisheye,cam1:pinhole5
    lenses: str | None = None  # a calibration whose lenses are known
    fix: str | None = None  # what of a lens stays: center, or cam0:distortion
    bend: bool = False  # the board may be bent

    def check(self) -> None:
        """Refuses what cannot be read before anything is kept.

        Raises:
            BadBoard, BadLayout, BadInput: it makes no sense.
        """
        check_board_for_rig(parse_board(self.board, self.square_mm))
        if self.layout is not None:
            parse_layout(self.layout)
        check_words(_words(self.lens), _words(self.fix))


class CalibrationJobs:
    """The thread that calibrates (state: what waits, and who asked to stop).

    Footage and requests lie on disk, so what a restart interrupted is begun again.
    """

    def __init__(
        self, board: JobBoard, store: Store, settings: StoreSettings, metrics: Metrics
    ) -> None:
        self.board = board
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="calibrations", daemon=True)

    def start(self) -> None:
        """Begins with what an earlier run left."""
        for job in self.board.jobs():
            if job.kind == _KIND and not job.over:
                self.board.change(job.id, state="queued")
                self._waiting.put(job.id)
        self._thread.start()

    def stop(self) -> None:
        """Interrupts; what runs is begun again after the next start."""
        self._stopping = True
        self._waiting.put(None)
        self._thread.join()

    def check_room(self) -> None:
        """Refuses one more when too many wait.

        Raises:
            QueueFull: come back later.
        """
        open_jobs = sum(job.kind == _KIND and not job.over for job in self.board.jobs())
        if open_jobs >= self._settings.calibration_jobs:
            raise QueueFull(
                f"{open_jobs} calibrations wait or run, the limit is "
                f"{self._settings.calibration_jobs}; try again in {_RETRY_AFTER_S:.0f} s",
                retry_after_s=_RETRY_AFTER_S,
            )

    def add(self, job_id: str, rig: str, request: CalibrationRequest) -> Job:
        """Queues a calibration whose footage lies in the job's directory."""
        values = {name: getattr(request, name) for name in CalibrationRequest.__slots__}
        job = Job(job_id, _KIND, rig, values, now())
        self.board.add(job)
        self._waiting.put(job_id)
        return job

    def cancel(self, job_id: str) -> Job:
        """Stops a calibration at its next step.

        Raises:
            Conflict: it is over already.
        """
        job = self.board.job(job_id)
        if job.over:
            raise Conflict(f"job {job_id!r} is {job.state} already; there is nothing to cancel")
        self._cancelled.add(job_id)
        if job.state == "queued":
            job = self.board.change(job_id, state="cancelled")
            self._clear(job_id)
        return job

    def _run(self) -> None:
        while (job_id := self._waiting.get()) is not None and not self._stopping:
            if not self.board.job(job_id).over:
                self._calibrate(self.board.change(job_id, state="running"))

    def _calibrate(self, job: Job) -> None:
        try:
            request = CalibrationRequest(**job.request)
            calibration = _calibration_of(
                self.board.directory(job.id) / "footage",
                job.rig,
                request,
                self._store.calibrated_rig(request.lenses) if request.lenses else None,
                lambda step: self.board.progress(job.id, step.stage, step.done, step.total),
                lambda: self._stopping or job.id in self._cancelled,
            )
            record = self._store.add_calibration(
                job.rig, calibration.rig, calibration.report, "calibrated"
            )
            # A rig's first calibration is in force at once; a later one waits for `activate`.
            if self._store.rig(job.rig).calibration is None:
                self._store.activate(record.id)
            self.board.change(job.id, state="done", calibration=record.id)
            outcome = "ok"
        except Cancelled:
            if self._stopping:
                return
            self.board.change(job.id, state="cancelled")
            outcome = "cancelled"
        except Exception as error:
            outcome = code_of(error)
            if outcome == "internal":
                logger.exception("calibration job %s", job.id)
            self.board.change(job.id, state="failed", problem=problem_of(error))
        logger.info("calibration job %s of rig %s: %s", job.id, job.rig, outcome)
        self._metrics.calibrations.labels(outcome).inc()
        self._clear(job.id)

    def _clear(self, job_id: str) -> None:
        """Footage can be gigabytes; what came of it is kept, the pictures are not."""
        self._cancelled.discard(job_id)
        shutil.rmtree(self.board.directory(job_id) / "footage", ignore_errors=True)


def _calibration_of(
    folder: Path,
    name: str,
    request: CalibrationRequest,
    known: Rig | None,
    progress: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> Calibration:
    board = parse_board(request.board, request.square_mm)

    def read(done: int, total: int) -> None:
        if cancelled():
            raise Cancelled("stopped while the videos were read; no rig was made")
        progress(Progress("read", done, total))

    if request.layout is not None:
        layout = parse_layout(request.layout)
        footage = footage_from_quad(folder, layout, moments=CANDIDATES, progress=read)
    else:
        footage = footage_from_dir(folder, moments=CANDIDATES, progress=read)
    options: Mapping[str, Any] = {
        key: value
        for key in ("kind", "reference", "world", "world_moment")
        if (value := getattr(request, key)) is not None
    }
    lenses, sizes_px = lenses_in(known, footage.cameras) if known is not None else ({}, {})
    settings = CalibrateSettings(
        name=name,
        known_lenses=lenses,
        known_sizes_px=sizes_px,
        models=models_of(_words(request.lens), footage.cameras, lenses),
        fixed=parse_fixed(_words(request.fix), footage.cameras),
        bend=request.bend,
        workers=max(1, len(os.sched_getaffinity(0)) // 2),  # the rest is for people
        **options,
    )
    return calibrate(footage, board, settings, progress=progress, cancelled=cancelled)


def _words(text: str | None) -> list[str]:
    return (text or "").replace(",", " ").split()
