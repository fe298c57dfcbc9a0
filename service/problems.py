"""Errors as responses: RFC 9457 problem details, for every error that there is.

A problem has `type`, `title`, `status`, `detail` (what was wrong and what to do), `code` (a stable
word for programs) and, where it is known, `pointer` (the field, as a JSON pointer into the form or
document), `camera` and `reason` (a finer word than `code`).
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from .errors import INTERNAL, ROOTS, QueueFull, code_of, status_of

__all__ = ["MEDIA_TYPE", "install", "internal_response", "problem_of", "problem_response"]

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_REALM = 'Bearer realm="quadglass"'


def problem_of(error: Exception) -> dict[str, Any]:
    """The problem that an error is, as it is sent."""
    status = status_of(error)
    known = code_of(error) != "internal"
    detail = (
        str(error)
        if known
        else "something broke inside the service; its log has the cause under this request id"
    )
    return _problem(
        status,
        code_of(error),
        detail,
        pointer=getattr(error, "field", None),
        camera=getattr(error, "camera", None),
        reason=getattr(error, "reason", None),
    )


def problem_response(error: Exception) -> JSONResponse:
    """The response for an error."""
    status = status_of(error)
    headers = {}
    if isinstance(error, QueueFull):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = _REALM
    return _response(problem_of(error), headers)


def internal_response(error: Exception) -> JSONResponse:
    """The response for an error that nobody foresaw; the log has its trace."""
    logger.error("unexpected error", exc_info=error)
    return problem_response(error)


def install(app: FastAPI) -> None:
    """Makes every error of the app a problem."""
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    # Starlette looks a handler up by class, so the roots of the known families are enough; what
    # is none of them reaches the outermost middleware.
    for root in ROOTS:
        app.add_exception_handler(root, _on_error)


async def _on_error(_request: Request, error: Exception) -> JSONResponse:
    return problem_response(error) if status_of(error) != INTERNAL else internal_response(error)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: 404, 405, a form that does not parse."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = str(error.detail)
    if status is HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path}; /docs lists what there is"
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        first = (error.headers or {}).get("Allow", "")
        allowed = ", ".join(sorted(_methods_at(request))) or first
        detail = f"{request.url.path} does not take {request.method}, only {allowed}"
        return _response(_problem(status, "method_not_allowed", detail), {"Allow": allowed})
    elif status is HTTPStatus.BAD_REQUEST:
        detail = f"the request cannot be parsed: {detail}"
    code = {404: "not_found", 400: "malformed"}.get(status, status.name.lower())
    return _response(_problem(status, code, detail), error.headers)


def _methods_at(request: Request) -> set[str]:
    """What a path takes; the framework itself names the methods of the first route only."""
    methods: set[str] = set()
    for template, operations in request.app.openapi()["paths"].items():
        pattern = "[^/]+".join(map(re.escape, re.split(r"\{[^}]*\}", template)))
        if re.fullmatch(pattern, request.url.path):
            methods |= {method.upper() for method in operations}
    return methods


async def _on_validation(_request: Request, error: Exception) -> JSONResponse:
    """A body or parameter that is not what the endpoint declares."""
    assert isinstance(error, RequestValidationError)
    found = [{"pointer": _pointer(one["loc"]), "detail": str(one["msg"])} for one in error.errors()]
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return _response(_problem(400, "malformed", f"the body is no JSON: {found[0]['detail']}"))
    said = "; ".join(f"{one['pointer']}: {one['detail']}" for one in found)
    problem = _problem(422, "bad_value", f"{said}; correct what is named", found[0]["pointer"])
    return _response({**problem, "errors": found})


def _pointer(loc: Sequence[str | int]) -> str:
    return "/" + "/".join(str(step) for step in loc[1:] or loc)


def _problem(
    status: int,
    code: str,
    detail: str,
    pointer: str | None = None,
    camera: str | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "type": f"urn:quadglass:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
    }
    if pointer is not None:
        problem["pointer"] = pointer
    if camera is not None:
        problem["camera"] = camera
    if reason not in (None, code):
        problem["reason"] = reason
    return problem


def _response(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        problem,
        status_code=problem["status"],
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )
