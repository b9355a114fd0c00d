"""How far each shard is stored and judged, which runs of the log server have ended, and what became of entries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import psycopg

from telemetry.log.entries import START, Entry, Reading, ordinal
from telemetry.timeseries.engine import INDEX

Connection = psycopg.Connection[Any]
#: "Quarantined" of an entry that was set aside with its bytes: all its readings, however many they are.
WHOLE_ENTRY = -1
# The index of readings by name: another one since a conversion of the table (telemetry.timeseries.conversion).
_FIELDS = (
    "generation, segment, stored, stored_offset, judged, judged_offset, series_epoch, "
    f"coalesce(to_regclass('{INDEX}')::oid::bigint, 0)"
)


@dataclass(frozen=True, slots=True)
class Position:
    """The row of one shard; see telemetry.models.ShardPosition."""

    shard: int
    generation: str
    segment: str
    stored: str
    stored_offset: int
    judged: str
    judged_offset: int
    series_epoch: int
    #: Of the readings table, not of the row: which index it has. Whoever knows another knows another layout of the table.
    index: int

    def restarted(self, reading: Reading) -> Position:
        """The beginning of another log, or of an older copy of this one."""
        return replace(
            self,
            generation=reading.generation,
            segment=reading.segment,
            stored=START,
            stored_offset=0,
            judged=START,
            judged_offset=0,
        )


def look(connection: Connection, shard: int) -> Position:
    """The position as it is now, unlocked. Raises LookupError for a shard that does not exist."""
    row = connection.execute(f"SELECT {_FIELDS} FROM telemetry_shardposition WHERE shard = %s", [shard]).fetchone()
    if row is None:
        raise LookupError(
            f"shard {shard} has no position: SHARDS differs from what was installed, see `manage.py doctor`"
        )
    return Position(shard, *row)


def lock(connection: Connection, shard: int) -> Position | None:
    """The position, locked until the transaction ends; None where another drain has it."""
    row = connection.execute(
        f"SELECT {_FIELDS} FROM telemetry_shardposition WHERE shard = %s FOR UPDATE SKIP LOCKED",
        [shard],
    ).fetchone()
    return None if row is None else Position(shard, *row)


def end_forgotten_drains(connection: Connection, seconds: float) -> list[int]:
    """End drains' sessions that have been in one transaction for longer and wait for rows of a COPY; answers their pids.

    The server's own limits (statement_timeout, idle_in_transaction_session_timeout) do not count within a COPY from its client,
    nor do keepalives where what stands between answers for a client that is gone.
    """
    # Found first: in one WHERE, sessions may be ended before the rest of it has been looked at.
    rows = connection.execute(
        "WITH forgotten AS MATERIALIZED (SELECT pid FROM pg_stat_activity "
        "WHERE datname = current_database() AND usename = current_user AND application_name LIKE 'iot-drain%%' "
        "AND state = 'active' AND wait_event = 'ClientRead' AND query LIKE 'COPY %%' "
        "AND xact_start < now() - make_interval(secs => %s)) "
        "SELECT pid FROM forgotten WHERE pg_terminate_backend(pid)",
        [seconds],
    )
    return [pid for (pid,) in rows]


def move(connection: Connection, position: Position, readings: int) -> None:
    """Write a locked position back; ``readings`` were stored on the way."""
    connection.execute(
        "UPDATE telemetry_shardposition SET generation = %s, segment = %s, stored = %s, stored_offset = %s, judged = %s, "
        "judged_offset = %s, stored_readings = stored_readings + %s, updated_at = now() WHERE shard = %s",
        [
            *(position.generation, position.segment, position.stored, position.stored_offset),
            *(position.judged, position.judged_offset, readings, position.shard),
        ],
    )


def log_was_replaced(position: Position, reading: Reading) -> bool:
    """Whether what was read is another log than the position belongs to, or an older copy of it.

    Its ids then say nothing about what is stored: it has to be read from its start, repeats are absorbed.
    """
    if position.generation == "":
        return False
    return position.generation != reading.generation or ordinal(reading.last_id) < ordinal(position.stored)


def log_was_trimmed(position: Position, reading: Reading) -> bool:
    """Whether entries after the position were removed: the database was set back further than the log is kept.

    A position at the start of a known log is there because that log is read again; what it removed was stored.
    """
    if position.stored == START and position.generation:
        return False
    return ordinal(reading.trimmed) > ordinal(position.stored)


def register_segment(connection: Connection, shards: int, segment: str) -> None:
    """Before the first append of a run of the log server: from now on there may be receipts of it."""
    connection.execute(
        "INSERT INTO telemetry_logsegment (shard, segment, created_at) SELECT s, %s, now() FROM generate_series(0, %s) s "
        "ON CONFLICT DO NOTHING",
        [segment, shards - 1],
    )


def end_segment(connection: Connection, shard: int, segment: str, last: str) -> None:
    """A run of the log server is over: its entries up to ``last`` were stored, later ones are lost."""
    if segment:
        connection.execute(
            "INSERT INTO telemetry_logsegment (shard, segment, ended_at_entry, created_at) VALUES (%s, %s, %s, now()) "
            "ON CONFLICT (shard, segment) DO UPDATE SET ended_at_entry = excluded.ended_at_entry",
            [shard, segment, last],
        )


def open_segment(connection: Connection, shard: int, segment: str) -> None:
    """Entries of this run are being stored (again, if it was taken for over)."""
    connection.execute(
        "INSERT INTO telemetry_logsegment (shard, segment, created_at) VALUES (%s, %s, now()) "
        "ON CONFLICT (shard, segment) DO UPDATE SET ended_at_entry = NULL",
        [shard, segment],
    )


def ended_segments(connection: Connection, shard: int, segments: set[str]) -> dict[str, str]:
    """Those of these runs that are over, and up to which entry each was stored."""
    return dict(
        connection.execute(
            "SELECT segment, ended_at_entry FROM telemetry_logsegment "
            "WHERE shard = %s AND segment = ANY(%s) AND ended_at_entry IS NOT NULL",
            [shard, list(segments)],
        ).fetchall()
    )


def end_unseen_segments(connection: Connection, shard: int, current: str) -> int:
    """End runs of which the whole log, read to its end, has no entry: what was accepted under them is lost.

    A run that was registered in the last half minute may just have begun. Answers how many ended.
    """
    cursor = connection.execute(
        "UPDATE telemetry_logsegment SET ended_at_entry = %s WHERE shard = %s AND segment <> %s AND ended_at_entry IS NULL "
        "AND created_at < now() - interval '30 seconds'",
        [START, shard, current],
    )
    return cursor.rowcount


def entries_set_aside(connection: Connection, shard: int, entries: list[Entry]) -> set[str]:
    """The ids of those of these entries that were set aside whole."""
    found = connection.execute(
        "SELECT o.entry FROM unnest(%s::text[], %s::text[]) AS u(segment, entry) "
        "JOIN telemetry_receiptoutcome o ON o.shard = %s AND o.segment = u.segment AND o.entry = u.entry "
        "WHERE o.quarantined = %s",
        [[entry.segment for entry in entries], [entry.id for entry in entries], shard, WHOLE_ENTRY],
    ).fetchall()
    return {entry for (entry,) in found}


def duplicates_in(connection: Connection, shard: int, entries: list[Entry]) -> set[str]:
    """The ids of those of these entries some of whose readings were stored before."""
    found = connection.execute(
        "SELECT o.entry FROM unnest(%s::text[], %s::text[]) AS u(segment, entry) "
        "JOIN telemetry_receiptoutcome o ON o.shard = %s AND o.segment = u.segment AND o.entry = u.entry "
        "WHERE o.duplicates > 0",
        [[entry.segment for entry in entries], [entry.id for entry in entries], shard],
    ).fetchall()
    return {entry for (entry,) in found}


def record_outcomes(connection: Connection, shard: int, outcomes: list[tuple[str, str, int, int, int]]) -> None:
    """(segment, entry, duplicates, conflicts, quarantined) of entries that were not simply stored.

    An entry of which an outcome is known keeps it.
    """
    if outcomes:
        columns = [list(column) for column in zip(*outcomes, strict=True)]
        connection.execute(
            "INSERT INTO telemetry_receiptoutcome (shard, segment, entry, duplicates, conflicts, quarantined, created_at) "
            "SELECT %s, s, e, d, c, q, now() FROM unnest(%s::text[], %s::text[], %s::int[], %s::int[], %s::int[]) "
            "AS u(s, e, d, c, q) ON CONFLICT (shard, segment, entry) DO NOTHING",
            [shard, *columns],
        )


def load_checkpoint(connection: Connection, shard: int) -> tuple[bytes, bytes] | None:
    """The shard's frontier as it was saved last: (series ids, times)."""
    return connection.execute(
        "SELECT series, times FROM telemetry_frontiercheckpoint WHERE shard = %s", [shard]
    ).fetchone()


def save_checkpoint(connection: Connection, shard: int, series: bytes, times: bytes) -> None:
    """Keep the shard's frontier. It is of the position before this transaction: a lower bound, which is all it claims."""
    connection.execute(
        "INSERT INTO telemetry_frontiercheckpoint (shard, series, times, saved_at) VALUES (%s, %s, %s, now()) "
        "ON CONFLICT (shard) DO UPDATE SET series = excluded.series, times = excluded.times, saved_at = now()",
        [shard, series, times],
    )
