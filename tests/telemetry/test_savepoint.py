"""A savepoint in a pipeline: its work is taken back whole or stays whole, whenever the answers come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from telemetry.database import connect
from telemetry.savepoint import savepoint

Connection = psycopg.Connection[Any]
_NOTE = "INSERT INTO notes VALUES (%s)"


@pytest.fixture
def connection(db: None) -> Iterator[Connection]:
    with connect(autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE notes (note integer PRIMARY KEY)")
        yield connection


def notes(connection: Connection) -> list[int]:
    return [note for (note,) in connection.execute("SELECT note FROM notes ORDER BY note")]


def test_what_was_done_inside_stays(connection: Connection) -> None:
    with connection.transaction(), connection.pipeline() as pipeline:
        connection.execute(_NOTE, [1])
        with savepoint(connection, pipeline):
            connection.execute(_NOTE, [2])
        connection.execute(_NOTE, [3])
    assert notes(connection) == [1, 2, 3]


def test_a_failure_that_nobody_has_asked_about_yet_is_raised_at_its_end(connection: Connection) -> None:
    with connection.transaction(), connection.pipeline() as pipeline:
        connection.execute(_NOTE, [1])
        with pytest.raises(psycopg.errors.UniqueViolation), savepoint(connection, pipeline):
            connection.execute(_NOTE, [2])
            connection.execute(_NOTE, [1])
        connection.execute(_NOTE, [3])
    assert notes(connection) == [1, 3]


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), KeyboardInterrupt()], ids=repr)
def test_an_error_of_ours_takes_back_what_was_sent(connection: Connection, error: BaseException) -> None:
    with connection.transaction(), connection.pipeline() as pipeline:
        connection.execute(_NOTE, [1])
        with pytest.raises(type(error)), savepoint(connection, pipeline):
            connection.execute(_NOTE, [2])
            raise error
        connection.execute(_NOTE, [3])
    assert notes(connection) == [1, 3]


def test_a_statement_that_was_to_be_prepared_after_the_failure_works_later(connection: Connection) -> None:
    with connection.transaction(), connection.pipeline() as pipeline:
        with pytest.raises(psycopg.errors.DivisionByZero), savepoint(connection, pipeline):
            connection.execute("SELECT 1 / 0")
            connection.execute(_NOTE, [1], prepare=True)
        connection.execute(_NOTE, [2], prepare=True)
    assert notes(connection) == [2]


def test_it_waits_for_nothing_where_every_answer_was_read(connection: Connection) -> None:
    with connection.transaction(), connection.pipeline() as pipeline:
        synced: list[None] = []
        pipeline.sync = lambda: synced.append(None)  # type: ignore[method-assign]
        with savepoint(connection, pipeline):
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not synced
