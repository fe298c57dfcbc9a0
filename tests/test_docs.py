"""The pages of docs/ hang together: links lead somewhere, and the tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from service.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^()\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = []
    for target in LINK.findall(FENCED.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        there = file.exists()
        if not there or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def test_the_index_names_every_page() -> None:
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = set(LINK.findall(text))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= linked


def test_the_command_page_names_every_command_and_whether_it_speaks_json() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:4] for line in text.split("## Exit")[0].splitlines() if "| `" in line]
    told = {name: row for row in rows for name in re.findall(r"`([a-z -]+)`", row[0])}
    group = typer.main.get_command(app)
    commands = group.commands  # type: ignore[attr-defined]  # a group's
    for name, command in commands.items():
        inside = getattr(command, "commands", None)
        if inside is None:
            assert name in told, name
            speaks = any("--json" in option.opts for option in command.params)
            said = told[name][2].strip()
            if name in ("train", "evaluate"):  # they share a row
                assert speaks == (name == "evaluate")
            else:
                assert bool(said) == speaks, name
        else:
            row = next(row for row in rows if f"`{name} " in row[0])
            assert all(part in row[0] for part in inside), row
