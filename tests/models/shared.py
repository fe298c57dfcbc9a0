"""Where real photos, films and teachers lie, if they are here at all."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "../shared"


def shared(path: str) -> Path:
    """A file or folder of the shared data; the test is skipped where it is missing."""
    found = (SHARED / path).resolve()
    if not found.exists():
        pytest.skip(f"../shared/{path} is not here")
    return found
