"""Decoders: a content type's bytes to Columns. Adding one is one file here and one line in its contract test."""

from __future__ import annotations

from collections.abc import Callable

from telemetry.intake.batch import Columns
from telemetry.intake.decode.json import decode_json

#: What a body of a content type is read by. A decoder takes the bytes and the largest number of values, and raises
#: Malformed or TooManyValues where nothing of the body can be used.
DECODERS: dict[str, Callable[[bytes, int], Columns]] = {
    "application/json": decode_json,
}

__all__ = ["DECODERS"]
