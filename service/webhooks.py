"""Finished jobs told to programs that asked in the settings: signed, tried again, never forgotten.

    webhooks/JOB.PLACE.json     a message that is not delivered yet: which job, to whom, how often

Addresses come from the settings alone: nothing that a request says makes the service call anybody,
and a redirect is a failure, not a way. A message is on the disk before its job is over there, and
is sent once the job is; so a crash loses none and tells nothing that did not last.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from quadglass.webhook import signature_of

from .config import WebhookSettings
from .files import read_json, sweep_parts, write_json
from .jobs import Job
from .metrics import Metrics

__all__ = ["Message", "Webhooks"]

logger = logging.getLogger(__name__)

Look = Callable[[str], Job]  # a job as it stands; raises where there is none
Document = Callable[[Job], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Message:
    """A job's end, on its way to one address."""

    job: str
    url: str
    tries: int = 0
    due: float = 0.0  # Unix time of the next try

    @property
    def identity(self) -> str:
        """The same in every try, so that a receiver can pass over what it has."""
        return f"{self.job}.{hashlib.sha256(self.url.encode()).hexdigest()[:8]}"


class Webhooks:
    """The thread that tells (state: what waits, here and on the disk)."""

    def __init__(self, root: Path, settings: WebhookSettings, metrics: Metrics) -> None:
        self._folder = root / "webhooks"
        self._settings = settings
        self._metrics = metrics
        self._news = threading.Condition()
        self._waiting: dict[str, Message] = {}  # by identity
        self._stopping = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def telling(self, job_id: str) -> Iterator[None]:
        """Around the writing of a job's end: what is to be told is on the disk before it."""
        messages = [Message(job_id, url) for url in self._settings.urls]
        for message in messages:
            self._write(message)
        yield
        with self._news:
            self._waiting |= {message.identity: message for message in messages}
            self._news.notify()

    def start(self, look: Look, document: Document) -> None:
        """Begins, with what an earlier run left first.

        Args:
            look: gives a job.
            document: what is told of it.
        """
        if not self._settings.urls:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        sweep_parts(self._folder)
        for path in sorted(self._folder.glob("*.json")):
            message = _read(path)
            if message is None or message.url not in self._settings.urls:
                logger.warning("webhook %s is not for an address of the settings: left", path.name)
                path.unlink()
            else:
                self._waiting.setdefault(message.identity, message)
        self._thread = threading.Thread(
            target=self._run, args=(look, document), name="webhooks", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends after the call that is under way; the rest goes on after the next start."""
        with self._news:
            self._stopping = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self, look: Look, document: Document) -> None:
        # No proxy of the environment: it would be somebody else who reads along.
        with httpx.Client(timeout=self._settings.timeout_s, trust_env=False) as http:
            while (message := self._next()) is not None:
                try:
                    self._try(http, message, look, document)
                except Exception:  # one message that cannot be told must not end them all
                    logger.exception("webhook %s", message.identity)
                    self._again(message, "a fault of this service")

    def _next(self) -> Message | None:
        """The next message that is due, None at the end."""
        with self._news:
            while not self._stopping:
                first = min(self._waiting.values(), key=lambda one: one.due, default=None)
                pause = None if first is None else first.due - time.time()
                if first is not None and pause is not None and pause <= 0:
                    return self._waiting.pop(first.identity)
                self._news.wait(pause)
        return None

    def _try(self, http: httpx.Client, message: Message, look: Look, document: Document) -> None:
        job = look(message.job)
        if not job.over:
            return  # a crash came between; the job runs again, and its end is told anew
        told = {"type": f"job.{job.state}", "timestamp": job.finished, "data": document(job)}
        body = json.dumps(told, allow_nan=False).encode()
        stamp = int(time.time())
        secret = self._settings.secret.get_secret_value()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.identity,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature_of(secret, message.identity, stamp, body),
        }
        try:
            # Streamed, so that an endless answer is not read into memory.
            with http.stream("POST", message.url, content=body, headers=headers) as response:
                outcome = f"status {response.status_code}"
                delivered = response.is_success
        except httpx.HTTPError as error:
            outcome, delivered = f"{type(error).__name__}: {error}", False
        if delivered:
            self._over(message, "delivered")
        else:
            self._again(message, outcome)

    def _again(self, message: Message, outcome: str) -> None:
        tries = message.tries + 1
        if tries >= self._settings.tries:
            logger.warning(
                "webhook %s to %s given up after %d tries: %s",
                message.identity, message.url, tries, outcome,
            )  # fmt: skip
            self._over(message, "given_up")
            return
        wait_s = min(self._settings.first_wait_s * 2 ** (tries - 1), self._settings.most_wait_s)
        wait_s *= random.uniform(0.75, 1.25)  # so that many do not come back at one moment
        logger.info("webhook %s: %s; again in %.1f s", message.identity, outcome, wait_s)
        later = replace(message, tries=tries, due=time.time() + wait_s)
        self._write(later)
        self._metrics.webhooks.labels("failed").inc()
        with self._news:
            self._waiting.setdefault(later.identity, later)

    def _over(self, message: Message, outcome: str) -> None:
        self._path(message).unlink(missing_ok=True)
        self._metrics.webhooks.labels(outcome).inc()

    def _write(self, message: Message) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._path(message), asdict(message))

    def _path(self, message: Message) -> Path:
        return self._folder / f"{message.identity}.json"


def _read(path: Path) -> Message | None:
    try:
        return Message(**read_json(path))
    except (ValueError, TypeError):
        return None
