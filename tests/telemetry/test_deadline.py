"""A request's waits for the database, bounded in all."""

from __future__ import annotations

import time

import psycopg
import pytest
from django.conf import settings

from telemetry.database import connect
from telemetry.deadline import BoundedConnection, database_deadline, patient


@pytest.fixture
def connection():
    with BoundedConnection.connect(settings.SERVERS["database_url"], autocommit=True) as connection:
        yield connection


def test_a_wait_ends_with_the_deadline(connection) -> None:
    began = time.monotonic()
    with database_deadline(0.3), pytest.raises(psycopg.OperationalError, match="did not answer in time"):
        connection.execute("SELECT pg_sleep(20)")
    assert time.monotonic() - began < 5
    assert connection.closed  # an answer may still come: nobody must take it for another's


def test_several_waits_share_one_deadline(connection) -> None:
    with database_deadline(1.0), pytest.raises(psycopg.OperationalError):
        for _ in range(10):
            connection.execute("SELECT pg_sleep(0.4)")


def test_without_a_deadline_a_query_takes_its_time(connection) -> None:
    with database_deadline(0.05):
        pass
    assert connection.execute("SELECT pg_sleep(0.3), 1").fetchone()[1] == 1


def test_every_answer_has_a_longest_time_of_its_own() -> None:
    with patient(-4.5).connect(settings.SERVERS["database_url"], autocommit=True) as connection:  # half a second
        for _ in range(3):
            connection.execute("SELECT pg_sleep(0.3)")
        with pytest.raises(psycopg.OperationalError, match="did not answer in time"):
            connection.execute("SELECT pg_sleep(20)")
        assert connection.closed


def test_the_nearer_of_deadline_and_patience_counts() -> None:
    with patient(100).connect(settings.SERVERS["database_url"], autocommit=True) as connection:
        began = time.monotonic()
        with database_deadline(0.3), pytest.raises(psycopg.OperationalError, match="did not answer in time"):
            connection.execute("SELECT pg_sleep(20)")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(("seconds", "shown", "patience"), [(300, "5min", 305.0), (0, "0", None)])
def test_statements_are_given_more_time_by_both_sides(connection, seconds: int, shown: str, patience: float) -> None:
    connection.let_statements_take(seconds)
    assert connection.execute("SHOW statement_timeout").fetchone() == (shown,)
    assert connection.patience == patience


def test_drains_and_threads_wait_no_longer_than_a_statement_may_take() -> None:
    with connect(autocommit=True) as connection:
        assert connection.patience is not None
        assert settings.STATEMENT_SECONDS < connection.patience <= settings.STATEMENT_SECONDS + 5
