"""The interface of a time-series engine: how the readings table is made, kept in ranges, compressed and aged.

Callers never ask which engine it is. Each engine is one module with the same verbs over a DB-API cursor; the one in
use is found by looking at the table itself, so it is right in every process, whatever the settings say by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

TABLE = "telemetry_reading"
#: Its index (series_id, time), unique or not; whoever exchanges it gives the new one this name.
INDEX = f"{TABLE}_series_time"
MICROSECONDS_PER_DAY = 86_400_000_000

#: Nothing is stored from before this: no telemetry is that old, and each range costs a partition.
EARLIEST = 0


class Cursor(Protocol):
    """The part of a DB-API cursor that engines use: psycopg's and Django's both have it."""

    def execute(self, sql: Any, params: Sequence[Any] | None = None) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Range:
    """One partition or chunk: its table and event times [start, end) in µs since 1970, UTC."""

    table: str
    start: int
    end: int
    compressed: bool = False


@dataclass(frozen=True, slots=True)
class Unsorted:
    """A chunk that is not, or not only, sorted columns: its table and event times [start, end) in µs since 1970."""

    table: str
    start: int
    end: int
    #: It has columns as drains landed them.
    landed: bool
    #: It has rows in the row store: small drains, or what came late into sorted columns.
    rows: bool


class Engine(Protocol):
    """What the store, the readers and beat ask of an engine."""

    name: str
    #: Whether the table itself refuses a second row of the same (series_id, time), by a unique index. Where it does not,
    #: the frontier alone keeps repeats out.
    refuses_repeats: bool

    def create(self, cursor: Cursor, days: int) -> None:
        """Make the empty readings table with ranges of that many days and its index (series_id, time)."""

    def create_rollup(self, cursor: Cursor, table: str, width: int, percentiles: bool) -> None:
        """Make the empty table of one level of rollups, with its unique index (series_id, time); its buckets are of
        ``width`` µs. What its columns mean is said in `telemetry.rollups.levels`."""

    def width(self, cursor: Cursor, days: int) -> int:
        """How wide coming ranges of readings are to be, in µs, where the setting says so many days."""

    def fit(self, cursor: Cursor, now: int, readings: int, days: int, keep_days: int) -> bool:
        """Let coming ranges hold about so many readings, where the engine chooses their width (`telemetry.timeseries.widths`);
        answers whether it changed. ``now`` in µs since 1970, ``cursor`` in autocommit mode."""

    def ranges(self, cursor: Cursor, table: str = TABLE) -> list[Range]:
        """All partitions or chunks, oldest first; of readings, or of a rollup's table where those are kept in ranges."""

    def add_range(self, cursor: Cursor, start: int, end: int) -> None:
        """Make room for event times [start, end) µs; no error where another process was faster."""

    def drop_before(self, cursor: Cursor, before: int) -> list[str]:
        """Drop ranges that end at or before that event time (µs); answers their names."""

    def compress_before(self, cursor: Cursor, before: int, table: str = TABLE) -> list[str]:
        """Compress ranges of a table that end at or before that event time (µs), where the engine can; answers their
        names."""

    def unsorted(self, cursor: Cursor, before: int) -> list[Unsorted]:
        """Ranges of readings that end at or before that event time (µs) and are to be sorted, oldest first: those of an
        engine that lands drains in columns (`telemetry.timeseries.compaction`)."""


def engine_in_use(cursor: Cursor) -> Engine:
    """The engine that made the readings table."""
    from telemetry.timeseries.columnar import Columnar
    from telemetry.timeseries.partitions import Partitions
    from telemetry.timeseries.timescale import Timescale

    cursor.execute(
        "SELECT relkind::text, EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisunique) "
        "FROM pg_class WHERE oid = to_regclass(%s)",
        [TABLE],
    )
    row = cursor.fetchone()
    if row is None:
        raise LookupError(f"there is no table {TABLE}: run `manage.py migrate`")
    kind, unique = row
    if kind == "p":
        return Partitions(refuses_repeats=unique)
    return Timescale() if unique else Columnar()


def choose_engine(cursor: Cursor, wanted: str, columnar: str = "off") -> Engine:
    """The engine to install: ``timescale``, ``partitions``, or with ``auto`` what the server can do. ``columnar`` is
    ``auto``, which lands large drains in columns where the server can be trusted with it, or ``off``.

    Raises LookupError where ``timescale`` is wanted and the server does not have the extension.
    """
    from telemetry.timeseries.columnar import Columnar, unsound
    from telemetry.timeseries.partitions import Partitions
    from telemetry.timeseries.timescale import Timescale

    if wanted == "partitions":
        return Partitions()
    if Timescale.install(cursor):
        return Columnar() if columnar == "auto" and unsound(cursor) is None else Timescale()
    if wanted == "timescale":
        raise LookupError(
            "TIMESERIES_ENGINE=timescale, but this server cannot load the extension timescaledb; install it and add it to "
            "shared_preload_libraries, or set TIMESERIES_ENGINE=auto"
        )
    return Partitions()


def rollup_columns(percentiles: bool) -> str:
    """The columns of a rollup's table, as SQL."""
    numbers = ["mean", "m2", "min", "max", "first", "last", "increase", *(("p50", "p95", "p99") if percentiles else ())]
    fields = [
        "series_id integer",
        "time timestamptz",
        "count bigint",
        *(f"{name} double precision" for name in numbers),
    ]
    return ", ".join(f"{field} NOT NULL" for field in fields)


def aligned(time: int, width: int) -> tuple[int, int]:
    """The range of that width (µs), counted from 1970, that a time (µs) falls into."""
    start = time // width * width
    return start, start + width


def as_timestamp(time: int) -> datetime:
    """µs since 1970 as an aware datetime, exactly."""
    seconds, micro = divmod(time, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micro)


def as_microseconds(time: datetime) -> int:
    """An aware datetime as µs since 1970, exactly."""
    delta = time - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
