"""What an HTTP answer means for a delivery."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

from alerts.channels.failures import PermanentFailure, TemporaryFailure
from alerts.egress import Answer

__all__ = ["accepted", "retry_after"]

#: Client errors that say "not now": Request Timeout, Too Early, Too Many Requests.
_NOT_NOW = (408, 425, 429)


def accepted(answer: Answer) -> str:
    """What the receiver said, where it took the message. Raises TemporaryFailure and PermanentFailure."""
    said = f"HTTP {answer.status}"
    if 200 <= answer.status < 300:
        return said
    if 300 <= answer.status < 400:
        raise PermanentFailure(f"{said}: the receiver redirects, which is not followed; enter the address it leads to.")
    if answer.status >= 500 or answer.status in _NOT_NOW:
        raise TemporaryFailure(f"{said}{_snippet(answer)}", retry_after(answer.headers.get("retry-after"), time.time()))
    raise PermanentFailure(f"{said}{_snippet(answer)}")


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header (RFC 9110, 10.2.3) asks to wait: a number, or a date. None where it says
    nothing that can be read. ``now``: seconds since 1970."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _snippet(answer: Answer) -> str:
    """The first line of the body: often it says what is wrong."""
    text = answer.body.decode(errors="replace").strip()
    first = "".join(character for character in text.split("\n")[0] if character.isprintable())
    return f": {first[:200]}" if first else ""
