"""What the tests of the way of a reading are made of: a sender straight to one shard's log, and drains that can break."""

from __future__ import annotations

import itertools
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import psycopg
from django.conf import settings

from iotplatform.env import config
from iotplatform.pipeline import ShardDrain
from telemetry.database import connection_parameters
from telemetry.deadline import BoundedConnection
from telemetry.intake.batch import Batch, Rejection
from telemetry.log.entries import START, Append, Entry
from telemetry.log.payload import Payload
from telemetry.log.redis_streams import RedisLog
from telemetry.models import Series
from telemetry.receipts import Receipt, ReceiptEntry, state_of
from telemetry.store import positions
from tests.builders import make_device
from thresholds.judge import NoThresholds

SHARD = 0
#: A minute of November 2026, µs since 1970.
NOON = 1_795_000_000_000_000
Row = tuple[int, int, float]


class Killed(BaseException):
    """The process dies here."""


def new_log(**options: Any) -> RedisLog:
    """A connection to the log, as another process has it."""
    return RedisLog(settings.SERVERS["redis_url"], 3.0, **options)


@dataclass
class Source:
    """Sends readings of its own series to one shard, as intake would. A row: (place of series, µs after noon, value)."""

    series: list[int]
    log: RedisLog
    sent: list[Row] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)

    @classmethod
    def make(cls, count: int = 3) -> Source:
        device = make_device()
        series = [Series.objects.create(device=device, metric=f"m{place}").pk for place in range(count)]
        return cls(series, new_log(on_segment=register_segment))

    def payload(self, rows: list[Row], **fields: Any) -> Payload:
        columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
        return Payload(
            Batch(
                np.array([self.series[place] for place in columns[0]], np.int32),
                np.array([NOON + time for time in columns[1]], np.int64),
                np.array(columns[2], np.float64),
            ),
            int(time.time() * 1e6),
            **fields,
        )

    def send(self, *rows: Row, rejections: list[Rejection] | None = None) -> Receipt:
        """One request; its receipt."""
        receipt = self.send_bytes(self.payload(list(rows), rejections=rejections or []).encode(), len(rows))
        self.sent += rows
        return receipt

    def send_bytes(self, payload: bytes, readings: int = 1) -> Receipt:
        """One entry of any bytes, said to hold so many readings."""
        (appended,) = self.log.append([Append([(SHARD, payload)])])
        entries = (ReceiptEntry(SHARD, readings, appended.ids[0]),)
        receipt = Receipt(0, 0, readings, 0, appended.segment, entries)
        self.receipts.append(receipt)
        return receipt

    def expected(self) -> dict[tuple[int, int], float]:
        """What the table has to hold of what was sent: the first value of each series and time."""
        table: dict[tuple[int, int], float] = {}
        for place, at, value in self.sent:
            table.setdefault((self.series[place], NOON + at), value)
        return table

    def numbers(self, count: int, start: int = 0) -> Iterator[Receipt]:
        """Send so many single readings of the first series, a second apart."""
        for number in range(start, start + count):
            yield self.send((0, number * 1_000_000, float(number)))


def register_segment(segment: str) -> None:
    with drains_connection() as connection:
        positions.register_segment(connection, config.shards, segment)


def drains_connection(kind: type[BoundedConnection] = BoundedConnection) -> BoundedConnection:
    """A connection as drains have it, of the given class."""
    return kind.connect(**connection_parameters(), autocommit=True)


class Breakable(BoundedConnection):
    """A connection whose outermost transaction can break right before or right after its COMMIT."""

    before_commit: Callable[[], None] = staticmethod(lambda: None)
    after_commit: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def transaction(self, *arguments: Any, **options: Any) -> Iterator[psycopg.Transaction]:  # type: ignore[override]
        # One that is taken back in any case has no COMMIT: so it is tried whether the server lands in columns.
        outermost = self.info.transaction_status == psycopg.pq.TransactionStatus.IDLE and not options.get(
            "force_rollback"
        )
        with super().transaction(*arguments, **options) as transaction:
            yield transaction
            if outermost:
                self.before_commit()
        if outermost:
            self.after_commit()


class Broken(Breakable):
    """Raises on use of anything, as where the database does not answer."""

    @classmethod
    def connect(cls, *arguments: Any, **options: Any) -> Any:
        raise psycopg.OperationalError("the server is away")


_made: list[ShardDrain] = []


def new_drain(
    judge: Any = None,
    kind: type[BoundedConnection] = BoundedConnection,
    clock: Callable[[], float] = time.monotonic,
    shard: int = SHARD,
    connect: Callable[[], BoundedConnection] | None = None,
    **changes: Any,
) -> ShardDrain:
    """A drain as a process that has just started has it; ``changes`` are of the configuration."""
    connect = connect or (lambda: drains_connection(kind))
    drain = ShardDrain(shard, new_log(), judge or NoThresholds(), replace(config, **changes), connect, clock)
    _made.append(drain)
    return drain


def close_drains() -> None:
    while _made:
        _made.pop().close()


def drain_to_end(drain: ShardDrain | None = None) -> int:
    """Drain until nothing waits; answers how many readings were taken."""
    drain, own = drain or new_drain(), drain is None
    taken = 0
    while (done := drain.drain()).more or done.entries:
        taken += done.readings
    if own:
        drain.close()
    return taken


def table() -> dict[tuple[int, int], float]:
    """All readings: value by (series id, µs since 1970). Raises AssertionError where one is stored twice."""
    with drains_connection() as connection:
        rows = connection.execute(
            "SELECT series_id, (extract(epoch FROM time) * 1000000)::bigint, value FROM telemetry_reading"
        ).fetchall()
    found = {(series, at): value for series, at, value in rows}
    assert len(found) == len(rows), "a reading is stored twice"
    return found


def position() -> positions.Position:
    with drains_connection() as connection:
        return positions.look(connection, SHARD)


def counts(receipt: Receipt) -> tuple[Any, ...]:
    """(state, stored, duplicates, conflicts, quarantined) of a receipt."""
    state = state_of(receipt)
    return tuple(state[name] for name in ("state", "stored", "duplicates", "conflicts", "quarantined"))


def waiting_in_log() -> list[Entry]:
    """All entries that the log keeps."""
    return new_log().read(SHARD, START, 1 << 30).entries


class Remembering(NoThresholds):
    """A judge that remembers what it was given, and fails while told to."""

    def __init__(self) -> None:
        self.failing: Exception | None = None
        self.seen: list[str] = []

    def judge(self, connection: psycopg.Connection[Any], shard: int, chunk: Any, before: Any) -> None:
        connection.execute("SELECT 1")
        if self.failing is not None:
            raise self.failing
        self.seen += [entry.id for entry in chunk.entries]


class Pausing(NoThresholds):
    """A judge that stops in the middle of the drain's transaction until it is told to go on."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def judge(self, connection: psycopg.Connection[Any], shard: int, chunk: Any, before: Any) -> None:
        self.reached.set()
        assert self.go_on.wait(20)


class Clock:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


_numbers = itertools.count()


def undecodable() -> bytes:
    """An entry of this version that is cut short."""
    return b"\x01" + struct.pack("<I", next(_numbers))


NEWER_RELEASE = b"\x1f whatever it will hold"
