"""A trace's context as text (W3C Trace Context, https://www.w3.org/TR/trace-context/) and as bytes.

Text: ``00-<trace id, 32 hex>-<span id, 16 hex>-<flags, 2 hex>``. Bytes, as log entries carry it: trace id 16, span id 8,
flags 1. Only sampled contexts are carried; empty means that nothing is traced.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["BYTES", "StoredEntry", "as_bytes", "as_text", "is_sampled"]

BYTES = 25
_TEXT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01


class StoredEntry(NamedTuple):
    """A traced entry of the log that a drain stored."""

    carried: bytes
    entry_id: str
    #: How many.
    readings: int


def as_text(carried: bytes) -> str:
    """The ``traceparent`` header; empty for empty."""
    return f"00-{carried[:16].hex()}-{carried[16:24].hex()}-{carried[24]:02x}" if carried else ""


def as_bytes(traceparent: str) -> bytes:
    """25 bytes, or none where the text is not a valid ``traceparent``: the standard has such a header ignored."""
    match = _TEXT.fullmatch(traceparent.strip())
    if match is None:
        return b""
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return b""
    return bytes.fromhex(trace_id + span_id + flags)


def is_sampled(carried: bytes) -> bool:
    """Whether its sender records this trace."""
    return bool(carried) and bool(carried[24] & _SAMPLED)
