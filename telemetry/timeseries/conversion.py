"""A hypertable of readings becomes columnar, or indexed again, while readings come in.

Readings stay where they are: TimescaleDB keeps for each chunk how it was compressed, so only the index and the settings of
what comes are exchanged. Drains see by the index that it is another one (`telemetry.store.positions`); one that is under way
writes as it did, which loses and doubles nothing: the frontier knows what is new, and COPY writes rows where it may not write
columns. Each step is a transaction of its own that is seen in the catalog, so whatever was interrupted goes
on when it is started again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from telemetry.timeseries.columnar import Columnar, unsound
from telemetry.timeseries.engine import INDEX, TABLE, engine_in_use
from telemetry.timeseries.partitions import Partitions
from telemetry.timeseries.timescale import Timescale

__all__ = ["Refused", "to_columnar", "to_indexed"]

Connection = psycopg.Connection[Any]
Tell = Callable[[str], None]

_COMING = f"{TABLE}_coming"
#: Who waits to lock all others out makes them queue: shorter than the server's deadlock_timeout, so no drain is ended.
_LOCK_MILLISECONDS = 500
_PAUSE_SECONDS = 0.5
_ATTEMPTS = 60
_LOCK = "telemetry.columnar"


class Refused(Exception):
    """Why it cannot be, or not now, as a sentence."""


def to_columnar(connection: Connection, tell: Tell) -> bool:
    """Give the unique index up, and land large drains in columns. False where it is so already; raises Refused.

    ``connection`` is in autocommit mode, and its statements may take long.
    """
    with _alone(connection):
        columnar = isinstance(_engine(connection), Columnar)
        _drop_leftover(connection, unless=None if columnar else (False, True))
        if isinstance(_engine(connection), Columnar):
            return False
        with connection.cursor() as cursor:
            reason = unsound(cursor)
        if reason is not None:
            raise Refused(reason)
        if _index(connection, _COMING) is None:
            tell("Building an index that is not unique, chunk by chunk; drains wait for the chunk that is at work.")
            connection.execute(
                f"CREATE INDEX {_COMING} ON {TABLE} (series_id, time) WITH (timescaledb.transaction_per_chunk)"
            )
        tell("Exchanging the indexes.")
        _when_free(
            connection,
            f"DROP INDEX {INDEX}",
            f"ALTER INDEX {_COMING} RENAME TO {INDEX}",
            Columnar.compression(),
        )
        return True


def to_indexed(connection: Connection, tell: Tell) -> bool:
    """Have a unique index again. False where it is so already; raises Refused.

    The server looks for repeats among rows alone: what is in columns is as free of them as it was. ``connection`` as for
    `to_columnar`.
    """
    with _alone(connection):
        _drop_leftover(connection, unless=(True, True))
        indexed = not isinstance(_engine(connection), Columnar)
        if indexed and _index(connection, _COMING) is None:
            return False
        if not indexed:
            tell("Building the unique index; drains wait until it is there.")
            try:
                connection.execute(f"CREATE UNIQUE INDEX {_COMING} ON {TABLE} (series_id, time)")
            except psycopg.errors.UniqueViolation as error:
                raise Refused(
                    f"A reading is stored twice, so there can be no unique index: {error.diag.message_detail} "
                    "`manage.py verify_readings` lists them."
                ) from error
        tell("Exchanging the indexes.")
        _when_free(
            connection,
            Timescale.compression(),
            f"ALTER TABLE {TABLE} RESET (timescaledb.sparse_index)",
            f"DROP INDEX {INDEX}",
            f"ALTER INDEX {_COMING} RENAME TO {INDEX}",
        )
        return True


def _engine(connection: Connection) -> Timescale:
    with connection.cursor() as cursor:
        engine = engine_in_use(cursor)
    if isinstance(engine, Partitions):
        raise Refused(
            "Readings are in partitions of plain PostgreSQL. Migrate into a new database that has TimescaleDB, and import "
            "them there."
        )
    assert isinstance(engine, Timescale)
    return engine


def _index(connection: Connection, name: str) -> tuple[bool, bool] | None:
    """Whether that index is unique, and complete; None where there is none."""
    return connection.execute(
        "SELECT indisunique, indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name]
    ).fetchone()


def _drop_leftover(connection: Connection, unless: tuple[bool, bool] | None) -> None:
    """Drop what an interrupted conversion left, unless it is of this kind: unique or not, and complete."""
    if _index(connection, _COMING) not in (None, unless):
        _when_free(connection, f"DROP INDEX {_COMING}")


def _when_free(connection: Connection, *statements: str) -> None:
    """All of them in one transaction, as soon as nobody is in the way. Raises Refused where somebody is for too long."""
    for _ in range(_ATTEMPTS):
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_MILLISECONDS}ms'")
                for statement in statements:
                    connection.execute(statement)
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            time.sleep(_PAUSE_SECONDS)
    raise Refused(
        f"The table was in use for {_ATTEMPTS * (_PAUSE_SECONDS + _LOCK_MILLISECONDS / 1000):.0f} s without a gap of half a "
        "second: a backup, or a long query. Run this again later; it goes on where it is."
    )


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [_LOCK]).fetchone()
    if not row or not row[0]:
        raise Refused("Another conversion of this table is under way.")
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [_LOCK])
