"""What a call may end with: the service's own words, or no service at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

__all__ = ["Problem", "Unreachable", "problem_of_response"]


class Problem(Exception):
    """The service refused or failed (RFC 9457): `str` says what was wrong and what to do.

    Attributes:
        status: of HTTP; 0 for a problem told on a live stream.
        code: a stable word for programs, such as `wrong_frame_size`.
        pointer: the form field or the place in the document, where it is known.
        camera: whose picture it was, where it is known.
        document: the problem as it was sent.
    """

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        super().__init__(str(document.get("detail") or document.get("title") or status))
        self.status = status
        self.code = str(document.get("code", ""))
        self.pointer: str | None = document.get("pointer")
        self.camera: str | None = document.get("camera")
        self.document = dict(document)


class Unreachable(Exception):
    """Nobody answered, after every try."""


def problem_of_response(response: httpx.Response) -> Problem:
    """The problem in a response; made up from the status where a proxy answered instead."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {"title": f"{response.status_code} {response.reason_phrase}"}
    return Problem(response.status_code, document)
