from __future__ import annotations

import pytest

from service.config import ApiKey, HttpSettings
from service.errors import UnsafeListen
from service.keys import hash_key, is_loopback, matches, needed_scope, refuse_open_listen


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
def test_loopback_needs_no_keys(host: str) -> None:
    assert is_loopback(host)
    refuse_open_listen(HttpSettings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "studio.example", ""])
def test_another_address_is_refused_without_keys(host: str) -> None:
    with pytest.raises(UnsafeListen, match="without API keys"):
        refuse_open_listen(HttpSettings(host=host))
    refuse_open_listen(HttpSettings(host=host, open_listen=True))
    refuse_open_listen(HttpSettings(host=host, keys=(ApiKey(name="a", hash=hash_key("a")),)))


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
