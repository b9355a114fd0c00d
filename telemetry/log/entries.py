"""What the log is spoken to with: appends, entries, and the errors of a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

#: Before every entry.
START = "0-0"


class LogError(Exception):
    """The log could not do it; the caller may try again later."""


class LogDown(LogError):
    """The log server does not answer, or not in time."""


class LogFull(LogError):
    """More bytes are waiting than the bound allows."""


class LayoutChanged(LogError):
    """The number of shards was changed since the caller looked."""


class TooManyIdempotencyKeys(LogError):
    """More keys would have to be remembered than the bound allows."""


@dataclass(frozen=True, slots=True)
class Append:
    """One request: its entries, all of them or none."""

    entries: list[tuple[int, bytes]]
    #: Where set, the request is appended once: again with the same key answers what the first one answered.
    idempotency_key: str = ""
    #: A text kept with the idempotency key and given back with a repetition.
    note: str = ""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a request went: an entry id for each of its entries, and the segment (run of the log server)."""

    segment: str
    ids: list[str]
    #: The first request's note where this one repeats it, else None.
    repeated: str | None = None
    #: Shards for which no drain was waiting: the caller starts one.
    wake: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it stands in the log. ``offset`` counts the shard's bytes up to and with this entry."""

    id: str
    segment: str
    offset: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look at a shard found: its entries after a position, and what the log says of itself."""

    generation: str
    segment: str
    #: The newest id that was ever appended to this shard, START where none was.
    last_id: str
    #: Everything up to here was removed on purpose.
    trimmed: str
    entries: list[Entry]
    #: Whether the end of the log was reached.
    complete: bool


class Log(Protocol):
    """The verbs of a log. Redis Streams is one driver; another keeps the same promises (see the contract tests)."""

    def append(self, requests: list[Append]) -> list[Appended | LogError]: ...
    def read(self, shard: int, after: str, most_bytes: int) -> Reading: ...
    def trim(self, shard: int, upto: str | None, offset: int, attempted: Sequence[str] = ()) -> None: ...
    def length(self, shard: int) -> int: ...


def ordinal(entry_id: str) -> tuple[int, int]:
    """An entry id as a pair that compares in log order."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
