"""Which network a command is to use."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config import ModelSettings, Settings

__all__ = ["Backend", "chosen_network", "with_backend"]


class Backend(StrEnum):
    """What runs the network."""

    onnx = "onnx"
    torch = "torch"


def chosen_network(name_or_file: str | None, backend: Backend | None = None) -> ModelSettings:
    """The network of the settings, else of `quadglass models use`, or the one that was named.

    Where none of them names one it is the better one, not the one for live capture.

    Args:
        name_or_file: shipped weights, an ONNX file, or a checkpoint for the torch backend.
        backend: instead of the settings'.
    """
    from models.weights import DEFAULT_NAME

    from ..config import load_settings
    from ..model_shelf import with_choice

    settings = with_choice(load_settings()).model
    if not settings.model_fields_set & {"name", "weights"}:
        settings = settings.model_copy(update={"name": DEFAULT_NAME})
    if backend is not None:
        settings = settings.model_copy(update={"backend": backend.value})
    if name_or_file is None:
        return settings
    if name_or_file.endswith((".onnx", ".ckpt")):
        return settings.model_copy(update={"weights": Path(name_or_file)})
    return settings.model_copy(update={"name": name_or_file, "weights": None})


def with_backend(settings: Settings, backend: Backend) -> Settings:
    """The same settings with another backend."""
    model = settings.model.model_copy(update={"backend": backend.value})
    return settings.model_copy(update={"model": model})
