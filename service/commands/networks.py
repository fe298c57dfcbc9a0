"""Which network a command is to use."""

from __future__ import annotations

from pathlib import Path

from ..config import ModelSettings, load_settings

__all__ = ["chosen_network"]


def chosen_network(name_or_file: str | None) -> ModelSettings:
    """The network of the settings, or the one that was named: shipped weights or an ONNX file."""
    settings = load_settings().model
    if name_or_file is None:
        return settings
    if name_or_file.endswith(".onnx"):
        return settings.model_copy(update={"weights": Path(name_or_file)})
    return settings.model_copy(update={"name": name_or_file, "weights": None})
