"""Networks listed, pulled from a real server on loopback, and chosen."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.weights import default_weights
from service import model_shelf
from service.cli import BAD_INPUT, app
from service.commands.networks import chosen_network
from service.config import ModelSettings, Settings
from service.errors import BadSettings
from service.model_shelf import Published, with_choice

CONTENT = b"weights" * 1000


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUADGLASS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """A server that has the file."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "theirs.pth").write_bytes(CONTENT)
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def theirs(place: str, monkeypatch: pytest.MonkeyPatch) -> Published:
    digest = hashlib.sha256(CONTENT).hexdigest()
    one = Published("theirs", f"{place}/theirs.pth", digest[:8], "a file of the test's server")
    monkeypatch.setattr(model_shelf, "PUBLISHED", (one,))
    return one


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["models", *words])


def listed() -> dict[str, Any]:
    result = run("list", "--json")
    assert result.exit_code == 0, result.output
    return {one["name"]: one for one in json.loads(result.stdout)["models"]}


def test_pulled_once_checked_and_listed(theirs: Published, data: Path) -> None:
    assert (listed()["theirs"]["where"], listed()["quadglass-s"]["used"]) == ("to be pulled", True)
    result = run("pull", "theirs", "--json")
    assert result.exit_code == 0, result.output
    assert (data / "models" / "theirs.pth").read_bytes() == CONTENT
    assert json.loads(result.stdout)["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert listed()["theirs"]["where"] == "pulled"
    assert run("pull", "theirs", "--url", "http://127.0.0.1:9/").exit_code == 0  # it is there


def test_another_file_is_refused_and_not_kept(
    theirs: Published, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Published(theirs.name, theirs.url, "0" * 64, theirs.says)
    monkeypatch.setattr(model_shelf, "PUBLISHED", (other,))
    result = run("pull", "theirs")
    assert result.exit_code == BAD_INPUT
    assert "published was 0000000000000000" in result.stderr
    assert list((data / "models").iterdir()) == []


@pytest.mark.parametrize("missing", ["{place}/nothing.pth", "http://127.0.0.1:9/theirs.pth"])
def test_out_of_reach_is_told_with_the_way_round(
    theirs: Published, place: str, data: Path, missing: str
) -> None:
    result = run("pull", "theirs", "--url", missing.format(place=place))
    assert result.exit_code == BAD_INPUT
    assert "quadglass models import FILE" in result.stderr
    assert list((data / "models").iterdir()) == []
    assert run("pull", "nobody").exit_code == BAD_INPUT


def test_what_is_used_is_found_by_every_command(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    shutil.copy(default_weights(), file)
    result = run("use", str(file), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert chosen_network(None).weights == file
    assert with_choice(Settings(data_dir=data)).model.weights == file
    assert listed()["mine.onnx"]["used"]
    named = Settings(data_dir=data, model=ModelSettings(name="quadglass-m"))
    assert with_choice(named).model.weights is None  # the settings win
    assert run("use", "quadglass-m").exit_code == 0
    assert chosen_network(None).weights is None


def test_a_service_and_a_command_begin_with_different_networks(data: Path) -> None:
    assert with_choice(Settings(data_dir=data)).model.name == "quadglass-s"
    assert chosen_network(None).name == "quadglass-m"
    assert run("use", "quadglass-clean").exit_code == 0
    assert with_choice(Settings(data_dir=data)).model.name == chosen_network(None).name
    assert chosen_network("quadglass-s").name == "quadglass-s"


def test_what_does_not_load_is_not_chosen(data: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    assert run("use", str(tmp_path / "bad.onnx")).exit_code == BAD_INPUT
    assert run("use", "nothing").exit_code == BAD_INPUT
    assert not (data / "models").exists()
    (data / "models").mkdir(parents=True)
    (data / "models" / "chosen.json").write_text("{")
    with pytest.raises(BadSettings, match="choose again"):
        with_choice(Settings(data_dir=data))
