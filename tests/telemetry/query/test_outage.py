"""While the database is down, hangs or drowns: an answer within a second, an earlier one where there is one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError
from psycopg.errors import QueryCanceled

from telemetry.query.breaker import DatabaseBreaker, DatabaseBusy
from tests.live import LivePlatform

QUESTION = "/api/v1/aggregates?device=pump-7&bucket=1h&start=2026-03-01T00:00:00Z&end=2026-03-02T00:00:00Z"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> DatabaseBreaker:
    return DatabaseBreaker(clock, at_once=1)


def lets_through(breaker: DatabaseBreaker) -> bool:
    try:
        breaker.require_closed()
    except DatabaseBusy:
        return False
    return True


def slow() -> OperationalError:
    error = OperationalError("canceling statement due to statement timeout")
    error.__cause__ = QueryCanceled()
    return error


def test_after_a_lost_connection_one_question_a_second_is_let_through(breaker: DatabaseBreaker, clock: Clock) -> None:
    breaker.failed(OperationalError("server closed the connection"))
    assert not lets_through(breaker)
    clock.now += 1.01
    assert [lets_through(breaker), lets_through(breaker)] == [True, False]
    breaker.succeeded()
    assert lets_through(breaker) and lets_through(breaker)


def test_one_slow_question_is_its_own_fault_several_are_a_database_that_drowns(
    breaker: DatabaseBreaker, clock: Clock
) -> None:
    for _ in range(3):
        breaker.failed(slow())
        assert lets_through(breaker)
        clock.now += 6  # three, but not within ten seconds
    for _ in range(2):
        breaker.failed(slow())
    assert not lets_through(breaker)


def test_what_was_refused_here_says_nothing_about_the_database(breaker: DatabaseBreaker) -> None:
    with breaker.slot(0.01):
        with pytest.raises(DatabaseBusy) as refused, breaker.slot(0.01):
            pass
        breaker.failed(refused.value)
    assert lets_through(breaker)
    with breaker.slot(0.01):
        pass


# --- a real one ----------------------------------------------------------------------------------------------------


@pytest.fixture
def platform(tmp_path: Any) -> Iterator[LivePlatform]:
    with LivePlatform(
        tmp_path, run=["web"], WEB_PROCESSES="1", DJANGO_SUPERUSER_PASSWORD="a good long password"
    ) as made:
        yield made


@pytest.mark.alone
def test_down_it_says_so_within_a_second_and_shows_what_it_said_before(platform: LivePlatform) -> None:
    platform.manage("ensure_admin")
    platform.provision("pump-7")
    with platform.database() as database:
        database.execute("INSERT INTO telemetry_series (device_id, metric) SELECT id, 'm' FROM telemetry_device")
    token = platform.request(
        "POST", "/api/v1/auth/token", b'{"username": "admin", "password": "a good long password"}',
        {"Content-Type": "application/json"},
    ).json()["access"]  # fmt: skip
    asked = platform.get(QUESTION, token)
    assert asked.status == 200, asked.body

    platform.kill("postgres")
    for path in (f"{QUESTION}&fill=null", "/api/v1/readings?device=pump-7", "/api/v1/devices/pump-7/latest"):
        for _ in range(2):
            began = time.monotonic()
            answer = platform.get(path, token)
            took = time.monotonic() - began
            assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json"), answer.body
            assert int(answer.headers["retry-after"]) >= 1 and took < 1.2, took

    began = time.monotonic()
    again = platform.get(QUESTION, token)
    assert time.monotonic() - began < 1.2
    assert again.status == 200 and again.json() == {"stale": True, **asked.json()}
    assert again.headers["warning"].startswith("110") and 0 <= int(again.headers["age"]) < 60
    # Only who was given it is given it again.
    assert platform.get(QUESTION, token[:-4] + "AAAA").status in (401, 503)
    assert platform.get(QUESTION).status in (401, 503)

    platform.restart("postgres")
    found = platform.wait_until(lambda: (answer := platform.get(QUESTION, token)).status == 200 and answer, 10)
    assert "stale" not in found.json() or platform.wait_until(
        lambda: "stale" not in platform.get(QUESTION, token).json(), 10
    )
