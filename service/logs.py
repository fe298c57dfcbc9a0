"""What a log line says of the request it belongs to, and how lines are written: text or JSON.

The ids travel in a context variable, so that a line deep inside says whose it is; through the queue
they go with the task. Whatever looks like a secret is blotted out, in every line of both formats.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from .config import LogSettings

__all__ = ["marked", "marks", "redacted", "write_logs"]

_NONE: Mapping[str, str] = MappingProxyType({})
_marks: ContextVar[Mapping[str, str]] = ContextVar("marks", default=_NONE)
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Our own keys and webhook secrets, what a client sends as a key, passwords in addresses.
_SECRETS = re.compile(
    r"\bqg_[A-Za-z0-9_-]+|\bwhsec_[A-Za-z0-9+/=]+|(?i:(?<=bearer )|(?<=\bkey\.))[^\s,'\"]+"
    r"|(?<=://)[^/\s@]*:[^/\s]*(?=@)|(?i:(?<=[?&]key=)|(?<=[?&]token=))[^&\s'\"]+"
)


def marks() -> Mapping[str, str]:
    """Ids of what is being worked on here: `request`, `capture`, `task`; empty outside of any."""
    return _marks.get()


@contextmanager
def marked(**ids: str | None) -> Iterator[None]:
    """Lines of the block carry these ids, besides those from outside; None and "" say nothing."""
    token = _marks.set({**_marks.get(), **{name: value for name, value in ids.items() if value}})
    try:
        yield
    finally:
        _marks.reset(token)


def redacted(text: str) -> str:
    """The text with everything that looks like a secret blotted out."""
    return _SECRETS.sub("***", text)


def write_logs(settings: LogSettings) -> None:
    """Lets the handlers that the command line made write as the settings say."""
    formatter = _Json() if settings.format == "json" else _Text(_TEXT)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)
    # It would write whole addresses, and those of webhooks may hold a secret anywhere.
    logging.getLogger("httpx").setLevel(logging.WARNING)


class _Text(logging.Formatter):
    """One line for people, its ids at the end."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        ids = " ".join(f"{name}={value}" for name, value in marks().items())
        return redacted(f"{line} [{ids}]" if ids else line)


class _Json(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, ids, exception."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
            **{name: redacted(value) for name, value in marks().items()},
        }
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)
