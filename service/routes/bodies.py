"""How bodies whose fields are not known beforehand are described in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FILE = {"type": "string", "format": "binary"}


def pictures_body(
    files: Mapping[str, str] | str,
    values: Mapping[str, str] | None = None,
    required: tuple[str, ...] = (),
) -> dict[str, Any]:
    """A multipart form.

    Args:
        files: file fields and what they are; a text alone describes fields of any name.
        values: the other fields and what they are.
        required: fields that may not be missing.
    """
    properties: dict[str, Any] = {
        name: {"type": "string", "description": text} for name, text in (values or {}).items()
    }
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if isinstance(files, str):
        schema["additionalProperties"] = {**_FILE, "description": files}
    else:
        for name, text in files.items():
            properties[name] = {**_FILE, "description": text}
        schema["required"] = list(files)
    if required:
        schema["required"] = list(required)
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}
