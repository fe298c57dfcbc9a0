"""The thread that takes frame sets, runs them through the pipeline, and answers every one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from capture.warmup import warm_up
from models.predictor import Predictor

from .batcher import gather
from .config import BatchSettings
from .decode import Picture
from .errors import DeadlinePassed, code_of
from .logs import marked
from .metrics import Metrics
from .pipeline import PipelineSettings, Views, decode_views, run_views
from .queue import Source
from .task import Answer, Model, Result, Task

__all__ = ["Worker"]

logger = logging.getLogger(__name__)

_IDLE_S = 0.2  # how often an idle worker looks whether it should stop
_PREVIEW_QUALITY = 80


class Worker(threading.Thread):
    """Takes, looks, answers (state: the predictor, and whether it has been warmed up)."""

    def __init__(
        self,
        source: Source,
        load: Callable[[], Predictor],
        pipeline: PipelineSettings,
        batch: BatchSettings,
        metrics: Metrics,
        name: str,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._source = source
        self._load = load
        self._pipeline = pipeline
        self._batch = batch
        self._metrics = metrics
        self._stopping = threading.Event()
        self.warm = threading.Event()
        self.model: Model | None = None  # once it is warm
        self.failure: Exception | None = None

    def stop(self) -> None:
        """Answers what it has taken, then ends."""
        self._stopping.set()

    def run(self) -> None:
        """Loads and warms up the network, then works until stopped."""
        try:
            predictor = self._load()
            _warm_up(predictor, self._batch.pictures)
        except Exception as error:  # whatever it is, readiness has to say so
            logger.exception("%s: the network does not run", self.name)
            self.failure = error
            return
        self.model = Model(predictor.name, predictor.sha256, predictor.skeleton.name)
        self.warm.set()
        logger.info("%s: %s is ready", self.name, predictor.name)
        try:
            while not self._stopping.is_set():
                tasks = gather(self._source, self._batch, _IDLE_S)
                if tasks:
                    self._work(tasks, predictor)
        except Exception as error:
            logger.exception("%s: has to end", self.name)
            self.failure = error
        finally:
            self._source.leave()

    def problem(self) -> str | None:
        """Why this worker does not work, or None."""
        if self.failure is not None:
            return f"{self.name}: {self.failure}"
        if not self.warm.is_set():
            return f"{self.name}: warming up"
        return None if self.is_alive() else f"{self.name}: has ended"

    def _work(self, tasks: Sequence[Task], predictor: Predictor) -> None:
        assert self.model is not None, "no work before the warm-up"
        taken_ns = time.time_ns()
        ready: list[tuple[Task, Views]] = []
        for task in tasks:
            try:
                ready.append((task, self._prepare(task, taken_ns, predictor)))
            except Exception as error:
                self._fail(task, error)
        if not ready:
            return
        self._metrics.batch_pictures.observe(sum(len(views.pictures) for _, views in ready))
        try:
            all_seen = run_views([views for _, views in ready], predictor, self._pipeline)
            results = [
                Result(seen, self.model, _previews(views.pictures, task.preview_side))
                for (task, views), seen in zip(ready, all_seen, strict=True)
            ]
        except Exception as error:
            if len(ready) == 1:
                self._fail(ready[0][0], error)
                return
            for task, _ in ready:  # one bad frame set must not cost the others theirs
                self._work([task], predictor)
            return
        for (task, _), result in zip(ready, results, strict=True):
            self._metrics.observe_stages(result.seen.timings_ms)
            self._source.answer(Answer(task.id, result))
            with marked(**task.marks, task=task.id):
                people = len(result.seen.people)
                logger.info("%s: frame set looked at, %d people", self.name, people)

    def _prepare(self, task: Task, taken_ns: int, predictor: Predictor) -> Views:
        waited_ms = (taken_ns - task.posted_ns) / 1e6
        if task.expired():
            raise DeadlinePassed(
                f"the frame set waited {waited_ms:.0f} ms and its deadline has passed; "
                "post fewer at a time, add workers, or raise queue.deadline_s"
            )
        views = decode_views(
            task.images,
            task.rig,
            predictor.input_side,
            self._pipeline,
            predicted=task.hint.predicted,
            regions=task.hint.regions,
        )
        views.timings_ms["queue"] = waited_ms
        return views

    def _fail(self, task: Task, error: Exception) -> None:
        with marked(**task.marks, task=task.id):
            if code_of(error) == "internal":
                logger.error("%s: frame set failed: %s", self.name, error, exc_info=error)
            else:
                logger.info("%s: frame set refused: %s", self.name, error)
        self._source.answer(Answer(task.id, error))


def _warm_up(predictor: Predictor, pictures: int) -> None:
    """One full batch and one frame set in metres: the first poster does not pay for compilation."""
    side = predictor.input_side
    predictor.candidates([np.zeros((side, side, 3), dtype=np.uint8)] * pictures)
    warm_up()


def _previews(pictures: Mapping[str, Picture], side: int) -> dict[str, bytes]:
    """Reduced JPEGs by camera, their longer side at most `side`; none for side 0."""
    previews = {}
    for name, picture in pictures.items() if side else ():
        height, width = picture.image.shape[:2]
        scale = min(1.0, side / max(width, height))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, _PREVIEW_QUALITY]
        _, encoded = cv2.imencode(".jpg", small, quality)
        previews[name] = encoded.tobytes()
    return previews
