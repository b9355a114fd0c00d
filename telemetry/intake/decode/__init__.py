"""Decoders: a content type's bytes to Columns. Adding one is one file here and one line in its contract test."""

from __future__ import annotations

from collections.abc import Callable

from telemetry.intake.batch import Columns
from telemetry.intake.decode.json import decode_json

ARROW = "application/vnd.apache.arrow.stream"


def _decode_arrow(body: bytes, most: int) -> Columns:
    # Its library takes 40 MiB, which a process has only where somebody sends such bodies.
    from telemetry.intake.decode.arrow import decode_arrow

    return decode_arrow(body, most)


#: What a body of a content type is read by. A decoder takes the bytes and the largest number of values, and raises
#: Malformed or TooManyValues where nothing of the body can be used.
DECODERS: dict[str, Callable[[bytes, int], Columns]] = {
    "application/json": decode_json,
    ARROW: _decode_arrow,
}

__all__ = ["ARROW", "DECODERS"]
