"""The API's documentation as one page, written from the OpenAPI document, with nothing loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from ..errors import ROOTS, STATUS

router = APIRouter(include_in_schema=False)

_KINDS = {"multipart/form-data": "form", "application/json": "JSON"}

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.9em ui-monospace, monospace; }
section { border-top: 1px solid; padding: 0.5rem 0 1rem; }
h3 { margin: 0.8rem 0 0.2rem; font-weight: 600; }
.method { display: inline-block; min-width: 5.5rem; font-weight: 700; }
table { border-collapse: collapse; margin: 0.4rem 0; }
td, th { text-align: left; vertical-align: top; padding: 0.15rem 1rem 0.15rem 0; }
nav a { margin-right: 1rem; }
"""


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The page."""
    document = request.app.openapi()
    body = "\n".join(_page(document))
    return HTMLResponse(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{_title(document)}</title>'
        f'<link rel="stylesheet" href="/docs/style.css"></head><body>\n{body}\n</body></html>'
    )


@router.get("/docs/style.css")
async def style() -> Response:
    """Its look; a file of its own, because the policy of the page allows no style inside."""
    return Response(_STYLE, media_type="text/css")


def _title(document: Mapping[str, Any]) -> str:
    info = document["info"]
    return escape(f"{info['title']} {info['version']}: the API")


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h1>{_title(document)}</h1>"
    yield f"<p>{escape(document['info'].get('description', ''))}</p>"
    yield '<p><a href="/openapi.json">openapi.json</a>, <a href="/">the page</a></p>'
    schemas = document.get("components", {}).get("schemas", {})
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            by_tag.setdefault(tag, []).append(
                "\n".join(_operation(path, method, operation, schemas))
            )
    yield "<nav>" + "".join(f'<a href="#{tag}">{escape(tag)}</a>' for tag in by_tag) + "</nav>"
    for tag, operations in by_tag.items():
        yield f'<section id="{escape(tag)}"><h2>{escape(tag)}</h2>'
        yield from operations
        yield "</section>"
    yield from _statuses()


def _operation(
    path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[str]:
    yield f'<h3><span class="method">{method.upper()}</span><code>{escape(path)}</code></h3>'
    yield f"<p>{_prose(operation.get('description', operation.get('summary', '')))}</p>"
    rows = [
        (one["name"], f"in {one['in']}", one.get("description", ""))
        for one in operation.get("parameters", ())
        if one["in"] != "path"
    ]
    for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
        kind = _KINDS.get(media_type, media_type)
        schema = media.get("schema", {})
        schema = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
        required = schema.get("required", ())
        for name, one in schema.get("properties", {}).items():
            need = "required" if name in required else "optional"
            rows.append((name, f"{kind}, {need}", one.get("description", _type(one))))
        if "additionalProperties" in schema and isinstance(schema["additionalProperties"], dict):
            rows.append(("CAMERA", kind, schema["additionalProperties"].get("description", "")))
        if not schema.get("properties"):
            rows.append(("(the body itself)", kind, schema.get("description", "")))
    if rows:
        cells = "".join(
            f"<tr><td><code>{escape(name)}</code></td><td>{escape(place)}</td>"
            f"<td>{_prose(text)}</td></tr>"
            for name, place, text in rows
        )
        yield f"<table>{cells}</table>"


def _prose(text: str) -> str:
    """Text as HTML, what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    return str(schema.get("type", ""))


def _statuses() -> Iterator[str]:
    yield '<section id="errors"><h2>errors</h2>'
    yield "<p>Every error is an RFC 9457 problem (<code>application/problem+json</code>).</p>"
    yield "<table><tr><th>status</th><th>code</th><th>when</th></tr>"
    for kind, status in STATUS.items():
        if kind not in ROOTS:
            text = (kind.__doc__ or "").partition("\n")[0]
            code = escape(str(getattr(kind, "code", "")))
            yield f"<tr><td>{status}</td><td><code>{code}</code></td><td>{escape(text)}</td></tr>"
    yield "</table></section>"
