"""How commands speak: results on stdout, progress and remarks on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Step", "bar", "remark", "remarks", "results", "show_json"]

results = Console()
remarks = Console(stderr=True)


class Step(Protocol):
    """Moves a progress bar: so many of so many are done."""

    def __call__(self, done: int, total: int | None = None, stage: str | None = None) -> None:
        """So many are done, perhaps of another total or in another stage."""


def remark(text: str) -> None:
    """One line on stderr, as it is."""
    remarks.print(text, highlight=False, markup=False, soft_wrap=True)


def show_json(content: Any) -> None:
    """Prints content as JSON on stdout, for programs."""
    results.file.write(json.dumps(content, indent=2, allow_nan=False) + "\n")


@contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Step]:
    """A progress bar on stderr while the block runs; silent where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=remarks,
        disable=not remarks.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=total)

        def step(done: int, total: int | None = None, stage: str | None = None) -> None:
            progress.update(task, completed=done, total=total, description=stage or label)

        yield step
