"""Keys made, used, rotated and revoked while the service runs."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from service.config import Settings
from service.errors import BadSettings, NotFound
from service.key_ring import FILE, KeyRing, new_key, read_keys, revoke

from .dots import DotPredictor
from .server import running


def status(
    client: httpx.Client, key: str | None, method: str = "GET", path: str = "/v1/rigs"
) -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    body = {"name": f"r{len(key or '')}", "kind": "quad"} if method == "POST" else None
    return client.request(method, path, headers=headers, json=body).status_code


def test_keys_come_and_go_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / FILE
    with running(Settings(data_dir=tmp_path), predictor=DotPredictor()) as client:
        assert status(client, None) == 200  # no keys: this machine is served
        first = new_key(file, "stage", ["read", "capture"])
        assert status(client, None) == 401
        assert status(client, first) == 200
        assert status(client, first, "POST") == 403  # making a rig is for admins
        second = new_key(file, "stage", ["admin"])
        assert [status(client, key) for key in (first, second)] == [200, 200]
        assert status(client, second, "POST") == 201
        assert revoke(file, "stage", keep_newest=True) == 1
        assert [status(client, key) for key in (first, second)] == [401, 200]
        assert client.get("/health/live").status_code == 200


def test_the_file_holds_no_key_and_is_the_owners(tmp_path: Path) -> None:
    file = tmp_path / FILE
    secret = new_key(file, "a", ["read"])
    assert secret not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert [(key.name, key.scopes) for key in read_keys(file)] == [("a", ("read",))]


def test_a_file_that_vanishes_or_breaks_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / FILE
    new_key(file, "a", ["read"])
    ring = KeyRing(Settings(data_dir=tmp_path))
    assert len(ring.keys()) == 1
    text = file.read_text()
    file.unlink()
    assert len(ring.keys()) == 1
    file.write_text("keys: {")
    with pytest.raises(BadSettings, match="no list of keys"):
        ring.keys()
    file.write_text(text)
    assert len(ring.keys()) == 1


def test_revoking_an_unknown_name_says_who_there_is(tmp_path: Path) -> None:
    new_key(tmp_path / FILE, "a", ["read"])
    with pytest.raises(NotFound, match="its names are a"):
        revoke(tmp_path / FILE, "b")
