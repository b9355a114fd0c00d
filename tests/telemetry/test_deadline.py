"""A request's waits for the database, bounded in all."""

from __future__ import annotations

import time

import psycopg
import pytest
from django.conf import settings

from telemetry.database import connect, connection_parameters
from telemetry.deadline import BoundedConnection, database_deadline, patient
from tests.faults.wires import wire_to_database


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


@pytest.fixture
def wire():
    """A network to the database, and what makes a connection over it."""
    with wire_to_database(connection_parameters()) as (proxy, through):
        yield proxy, lambda seconds=30.0: patient(seconds).connect(**through, autocommit=True)


def test_a_network_that_forgot_one_connection_forgot_those_that_were_silent_since(wire) -> None:
    proxy, connect_over = wire
    three = [connect_over() for _ in range(3)]
    assert all(one.answers() for one in three)
    proxy.forsake(answering=True)  # no keepalive ever finds out
    began = time.monotonic()
    assert not three[0].answers()
    assert 1 < time.monotonic() - began < 5
    began = time.monotonic()
    assert not three[1].answers(heard_within=100.0)
    assert not three[2].answers()
    assert time.monotonic() - began < 0.5
    assert all(one.closed for one in three)
    with connect_over() as new:
        assert new.answers()


def test_one_that_was_heard_of_just_now_is_not_asked(wire) -> None:
    proxy, connect_over = wire
    with connect_over() as connection:
        proxy.hold()
        assert connection.answers(heard_within=100.0)
        assert not connection.answers()


def test_an_answer_that_was_owed_and_did_not_come_tells_of_the_others_too(wire) -> None:
    proxy, connect_over = wire
    waits, other = connect_over(-4.0), connect_over()  # one second
    proxy.forsake(answering=True)
    with pytest.raises(psycopg.OperationalError, match="did not answer in time"):
        waits.execute("SELECT 1")
    assert not other.answers(heard_within=100.0)


def test_a_query_beyond_a_requests_deadline_says_nothing_of_other_connections(connection) -> None:
    with connect(autocommit=True) as other:
        with database_deadline(0.2), pytest.raises(psycopg.OperationalError, match="did not answer in time"):
            connection.execute("SELECT pg_sleep(20)")
        assert other.answers(heard_within=100.0)
        assert other.answers()
