"""Slow hashes of API keys: a stolen file of them is no key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

__all__ = ["hash_key", "matches"]

# scrypt as in RFC 7914 with the parameters usual for interactive logins: about 50 ms a guess.
_N, _R, _P = 2**14, 8, 1


def hash_key(key: str) -> str:
    """What is kept of a key."""
    salt = secrets.token_bytes(16)
    return "scrypt$" + "$".join(
        base64.urlsafe_b64encode(part).decode() for part in (salt, _scrypt(key, salt))
    )


def matches(key: str, hashed: str) -> bool:
    """Whether a key has that hash; takes the same time whichever it is."""
    try:
        scheme, salt, digest = hashed.split("$")
        salt_bytes = base64.urlsafe_b64decode(salt)
        digest_bytes = base64.urlsafe_b64decode(digest)
    except ValueError:
        return False
    return scheme == "scrypt" and hmac.compare_digest(_scrypt(key, salt_bytes), digest_bytes)


def _scrypt(key: str, salt: bytes) -> bytes:
    return hashlib.scrypt(key.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=32)
