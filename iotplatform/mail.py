"""EMAIL_URL as Django's settings of the mail server."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from iotplatform.setting_kinds import ConfigError

__all__ = ["mail_settings"]

_BACKENDS = "django.core.mail.backends"
_EXAMPLE = "for example EMAIL_URL=smtp://user:password@mail.example.org:587"


def mail_settings(url: str | None, timeout: float) -> dict[str, Any]:
    """``smtp://[user:password@]host[:port][?starttls=on|off]``, ``smtps://…`` (TLS from the start), ``console://``.

    With a password STARTTLS is on unless the URL says off, without one it is off unless it says on. Without a URL
    nothing is sent. Raises ConfigError.
    """
    if not url:
        return {"EMAIL_BACKEND": f"{_BACKENDS}.dummy.EmailBackend"}
    if url.startswith("console://"):
        return {"EMAIL_BACKEND": f"{_BACKENDS}.console.EmailBackend"}
    try:
        parts = urlsplit(url)
        port, query = parts.port, parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError as error:
        raise ConfigError(f"EMAIL_URL cannot be read ({error}), {_EXAMPLE}") from error
    starttls = query.pop("starttls", ["on" if parts.password else "off"])[-1]
    if not parts.hostname or query or starttls not in ("on", "off"):
        raise ConfigError(f"EMAIL_URL must name a host, and know no option but starttls=on|off, {_EXAMPLE}")
    tls = parts.scheme == "smtps"
    return {
        "EMAIL_BACKEND": f"{_BACKENDS}.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or (465 if tls else 587 if starttls == "on" else 25),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": tls,
        "EMAIL_USE_TLS": starttls == "on" and not tls,
        "EMAIL_TIMEOUT": timeout,
    }
