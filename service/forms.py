"""Multipart forms whose field names are not known beforehand: pictures by camera, and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from .errors import BadValue, Malformed, WrongMediaType

__all__ = ["Form", "integer", "number", "read_form", "require_multipart", "uploads"]

_MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was read whole: small values, and files in memory."""

    values: Mapping[str, str]
    files: Mapping[str, bytes]

    def only(self, *known: str) -> None:
        """Refuses values that nobody asked for.

        Raises:
            BadValue: there is one; a picture sent without a file name is the usual cause.
        """
        for name in self.values:
            if name not in known:
                raise BadValue(
                    f"field {name!r} is not known here; values are {', '.join(known) or 'none'}, "
                    "and a picture has to be sent as a file (with a file name)",
                    field=f"/{name}",
                )


async def read_form(request: Request, *, max_files: int, max_values: int = 16) -> Form:
    """The whole form; the body limit has been counted before.

    Raises:
        WrongMediaType: the body is no multipart form.
        Malformed: it does not parse, or a field comes twice.
    """
    require_multipart(request)
    values: dict[str, str] = {}
    files: dict[str, bytes] = {}
    async with request.form(max_files=max_files, max_fields=max_values) as form:
        for name, value in form.multi_items():
            if name in values or name in files:
                raise Malformed(f"field {name!r} comes twice; send one of each", field=f"/{name}")
            if isinstance(value, UploadFile):
                files[name] = await value.read()
            else:
                values[name] = value
    return Form(values, files)


def require_multipart(request: Request) -> None:
    """Refuses a body that is no multipart form.

    Raises:
        WrongMediaType: it is something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _MULTIPART:
        raise WrongMediaType(
            f"the body is {kind or 'of no stated type'}, this endpoint takes {_MULTIPART}"
        )


def integer(values: Mapping[str, str], name: str) -> int | None:
    """A whole number of a form, None where it is missing.

    Raises:
        BadValue: it is no number, or negative.
    """
    text = values.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise BadValue(
            f"{name} is {text[:40]!r}, needs a whole number that is not negative", field=f"/{name}"
        )
    return int(text)


def number(values: Mapping[str, str], name: str) -> float | None:
    """A finite number of a form, None where it is missing.

    Raises:
        BadValue: it is none.
    """
    text = values.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise BadValue(f"{name} is {text[:40]!r}, needs a number", field=f"/{name}")
    return value


def uploads(form: FormData) -> list[tuple[str, UploadFile]]:
    """The files of a form that stays open, with their fields."""
    return [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
