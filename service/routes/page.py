"""The page: static files of this package, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)
_WEB = Path(__file__).parents[1] / "web"


@router.get("/")
async def page() -> FileResponse:
    """The page."""
    return FileResponse(_WEB / "index.html", headers={"Cache-Control": "no-cache"})


@router.get("/favicon.ico")
async def icon() -> RedirectResponse:
    """Where browsers ask without being told."""
    return RedirectResponse("/static/icon.svg")


def mount(app: FastAPI) -> None:
    """Adds the page's modules, styles and pictures."""
    app.mount("/static", StaticFiles(directory=_WEB), name="static")
