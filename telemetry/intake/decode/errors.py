"""Why a body as a whole cannot be used."""

from __future__ import annotations


class Malformed(ValueError):
    """The body is not what its content type says; the message says where and what."""


class TooManyValues(ValueError):
    """The body holds more values than a request may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a request may hold {limit:,} values at most; send the rest in further requests")
