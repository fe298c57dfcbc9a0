from __future__ import annotations

from pathlib import Path

import pytest

from service.config import Settings, load_settings
from service.errors import BadSettings


def test_defaults_stand_without_file_and_variables() -> None:
    settings = load_settings(None, {})
    assert settings == Settings()
    assert settings.http.host == "127.0.0.1"


def test_a_file_beats_defaults_and_a_variable_beats_the_file(tmp_path: Path) -> None:
    path = tmp_path / "quadglass.yaml"
    path.write_text("data_dir: from-file\nhttp: {port: 9000, host: '::1'}\nqueue: {length: 5}\n")
    variables = {"QUADGLASS_DATA_DIR": "from-variable", "QUADGLASS_HTTP_PORT": "9001", "HOME": "x"}
    settings = load_settings(path, variables)
    assert settings.data_dir == Path("from-variable")
    assert (settings.http.host, settings.http.port) == ("::1", 9001)
    assert settings.queue.length == 5


def test_the_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "quadglass.yaml"
    path.write_text("queue: {deadline_s: 3}\n")
    assert load_settings(None, {"QUADGLASS_CONFIG": str(path)}).queue.deadline_s == 3


def test_a_list_in_a_variable_is_yaml() -> None:
    keys = "[{name: stage, hash: 'scrypt$a$b', scopes: [read]}]"
    (key,) = load_settings(None, {"QUADGLASS_HTTP_KEYS": keys}).http.keys
    assert (key.name, key.scopes) == ("stage", ("read",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense: 1\n", "nonsense"),
        ("http: {prot: 80}\n", "http.prot"),
        ("http: {port: 70000}\n", "http.port"),
        ("queue: {length: 0}\n", "queue.length"),
        ("worker: {threads: 0}\n", "worker.threads is 0"),
        ("- a list\n", "mapping"),
        ("a: [1\n", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_with_the_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "quadglass.yaml"
    path.write_text(text)
    with pytest.raises(BadSettings, match=said):
        load_settings(path, {})


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(BadSettings, match="QUADGLASS_HTTP_PROT sets nothing"):
        load_settings(None, {"QUADGLASS_HTTP_PROT": "1"})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read"):
        load_settings(tmp_path / "none.yaml", {})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().data_dir = Path("elsewhere")  # type: ignore[misc]
