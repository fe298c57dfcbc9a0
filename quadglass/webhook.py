"""Is this message really from the service? Signed as Standard Webhooks (standardwebhooks.com) are.

A message has three headers: `webhook-id`, the same when it is sent again; `webhook-timestamp`,
seconds of Unix time; `webhook-signature`, `v1,` and the base64 of an HMAC-SHA256 over
`ID.TIMESTAMP.BODY`. The secret is `whsec_` and base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["BadSignature", "signature_of", "verified"]

_PREFIX = "whsec_"
_FEWEST_BYTES = 24  # of a secret, as the standard asks


class BadSignature(ValueError):
    """Not signed with this secret, or too long ago."""


def signature_of(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of a message.

    Raises:
        ValueError: the secret is not `whsec_` and base64 of 24 bytes or more.
    """
    content = f"{identity}.{timestamp}.".encode() + body
    mac = hmac.new(_bytes_of(secret), content, hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


def verified(
    secret: str, headers: Mapping[str, str], body: bytes, *, tolerance_s: float = 300.0
) -> dict[str, Any]:
    """What a message says, once its signature holds and it is no older than the tolerance.

    Args:
        secret: `webhooks.secret` of the service.
        headers: of the request, in any spelling.
        body: as it came, byte for byte.
        tolerance_s: between its timestamp and now, so that nobody sends an old one again.

    Raises:
        BadSignature: do not act on it.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        identity, stamp = lower["webhook-id"], int(lower["webhook-timestamp"])
        given = lower["webhook-signature"].split()
    except (KeyError, ValueError) as error:
        raise BadSignature(f"the message is not signed: {error}") from error
    if abs(time.time() - stamp) > tolerance_s:
        raise BadSignature(f"the message is of {stamp}, more than {tolerance_s:g} s from now")
    wanted = signature_of(secret, identity, stamp, body)
    # All of them: while a secret is changed a message may carry two.
    if not any(hmac.compare_digest(one.encode(), wanted.encode()) for one in given):
        raise BadSignature("the signature is not that of this secret and body")
    return dict(json.loads(body))


def _bytes_of(secret: str) -> bytes:
    try:
        data = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        data = b""
    if not secret.startswith(_PREFIX) or len(data) < _FEWEST_BYTES:
        raise ValueError(
            f"a webhook secret is {_PREFIX} and base64 of {_FEWEST_BYTES} bytes or more; make one "
            "with: echo whsec_$(head -c 32 /dev/urandom | base64 -w0)"
        )
    return data
