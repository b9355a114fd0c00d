"""Secrets of channels at rest: JSON under Fernet (AES-128-CBC with HMAC-SHA256), with keys derived from SECRET_KEY.

A changed SECRET_KEY makes them unreadable, unless the former one stands in SECRET_KEY_FALLBACKS: then they are read with
it, and written with the new one at the next save (`manage.py reencrypt_secrets` does so for all).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

__all__ = ["SecretUnreadable", "decrypt", "encrypt"]

_PURPOSE = b"alerts: secrets of channels, 1"


class SecretUnreadable(Exception):
    """Encrypted under a SECRET_KEY that is known no more, or damaged. The message says what to do."""

    def __init__(self) -> None:
        super().__init__("Its secret cannot be read with the present SECRET_KEY: enter it again.")


def encrypt(secret: Mapping[str, Any]) -> bytes:
    """Empty for an empty secret."""
    return _cipher().encrypt(json.dumps(dict(secret)).encode()) if secret else b""


def decrypt(token: bytes | memoryview) -> dict[str, Any]:
    """Raises SecretUnreadable."""
    if not token:
        return {}
    try:
        return dict(json.loads(_cipher().decrypt(bytes(token))))
    except InvalidToken as error:
        raise SecretUnreadable from error


def _cipher() -> MultiFernet:
    return MultiFernet([Fernet(_key(secret)) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _key(secret: str) -> bytes:
    """RFC 5869. SECRET_KEY signs other things too: a key of its own for each purpose."""
    return base64.urlsafe_b64encode(HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode()))
