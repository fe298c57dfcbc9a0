"""Names that may become files: one pattern for rigs, captures, cameras, jobs and calibrations."""

from __future__ import annotations

import re

from .errors import BadName

__all__ = ["NAME_PATTERN", "checked_name"]

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_NAME = re.compile(NAME_PATTERN)


def checked_name(kind: str, name: str) -> str:
    """The name itself, when it is safe as a file name.

    Raises:
        BadName: anything else, `..` and slashes above all.
    """
    if not _NAME.fullmatch(name):
        raise BadName(
            f"{kind} name {name[:80]!r} is not allowed: 1 to 64 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit",
            field=f"/{kind}",
        )
    return name
