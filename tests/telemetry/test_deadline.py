"""A request's waits for the database, bounded in all."""

from __future__ import annotations

import time

import psycopg
import pytest
from django.conf import settings

from telemetry.deadline import BoundedConnection, database_deadline


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
