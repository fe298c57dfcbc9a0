from __future__ import annotations

from pathlib import Path

import pytest

from service.config import ApiKey, HttpSettings, Settings
from service.errors import UnsafeListen
from service.hashing import hash_key, matches
from service.key_ring import new_key
from service.keys import is_loopback, needed_scope, refuse_open_listen


def test_a_key_matches_its_hash_and_no_other() -> None:
    hashed = hash_key("correct horse")
    assert matches("correct horse", hashed)
    assert not matches("correct horsf", hashed)
    assert "horse" not in hashed


def test_the_same_key_never_has_the_same_hash_twice() -> None:
    assert hash_key("a") != hash_key("a")


@pytest.mark.parametrize("broken", ["", "plain", "scrypt$a", "scrypt$!$!", "md5$YQ==$YQ=="])
def test_a_broken_hash_matches_nothing(broken: str) -> None:
    assert not matches("a", broken)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str, tmp_path: Path) -> None:
    assert is_loopback(host)
    refuse_open_listen(Settings(data_dir=tmp_path, http=HttpSettings(host=host)))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "studio.example", ""])
def test_another_address_is_refused_without_keys(host: str, tmp_path: Path) -> None:
    def settings(**more: object) -> Settings:
        http = HttpSettings.model_validate({"host": host, **more})
        return Settings(data_dir=tmp_path, http=http)

    with pytest.raises(UnsafeListen, match="without API keys"):
        refuse_open_listen(settings())
    refuse_open_listen(settings(open_listen=True))
    refuse_open_listen(settings(keys=(ApiKey(name="a", hash=hash_key("a")),)))
    new_key(tmp_path / "keys.yaml", "a", ["read"])
    refuse_open_listen(settings())


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/rigs", "read"),
        ("HEAD", "/metrics", "read"),
        ("POST", "/v1/images", "capture"),
        ("POST", "/v1/rigs/a/frames", "capture"),
        ("POST", "/v1/captures", "capture"),
        ("PUT", "/v1/rigs/a/rig.yaml", "admin"),
        ("POST", "/v1/rigs/a/calibrations", "admin"),
        ("DELETE", "/v1/jobs/j1", "admin"),
        ("POST", "/v1/calibrations/c1/activate", "admin"),
    ],
)
def test_scopes(method: str, path: str, scope: str) -> None:
    assert needed_scope(method, path) == scope
