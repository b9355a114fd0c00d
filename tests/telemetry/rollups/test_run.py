"""The refresh as beat starts it: in a thread that gives way, and that nobody waits for."""

from __future__ import annotations

import threading
import time

import pytest
from django.conf import settings

from iotplatform import tasks
from iotplatform.env import config
from telemetry.database import connect
from telemetry.log.redis_streams import RedisLog
from telemetry.models import RollupState
from telemetry.rollups import run
from telemetry.rollups.levels import MINUTE as MINUTES
from telemetry.rollups.pace import longest_wait
from telemetry.rollups.run import Refresher
from tests.builders import drain_all, make_device, make_key, post_readings
from tests.telemetry.rollups.readings import rolled

pytestmark = pytest.mark.usefixtures("platform_db")


def log() -> RedisLog:
    return RedisLog(settings.SERVERS["redis_url"], config.redis_timeout_seconds)


def post(seconds_ago: float) -> None:
    now = time.time()
    key = make_key(make_device("pump-7"))
    answer = post_readings(key, {"device": "pump-7", "time": int((now - seconds_ago) * 1e6), "metrics": {"flow": 1.0}})
    assert answer.status_code == 202, answer.content


def test_the_task_has_rollups_made() -> None:
    post(seconds_ago=300)
    drain_all()
    tasks.refresh_rollups()
    assert tasks.rollups.wait(20)
    assert len(rolled(MINUTES)) == 1
    assert RollupState.objects.get().refreshed_at is not None


def test_one_refresh_runs_at_a_time_and_an_error_does_not_end_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[str] = []
    may_end = threading.Event()

    def refresh(*_: object) -> None:
        began.append(threading.current_thread().name)
        may_end.wait(20)
        raise OSError("the database is away")

    monkeypatch.setattr(run, "refresh_due", refresh)
    refresher = Refresher()
    refresher.pump(log, config)
    refresher.pump(log, config)
    assert not refresher.wait(0)
    may_end.set()
    assert refresher.wait(20)
    assert began == ["rollups"]
    refresher.pump(log, config)
    assert refresher.wait(20)
    assert len(began) == 2


def test_it_knows_how_long_readings_wait_in_the_log() -> None:
    with connect(autocommit=True) as connection:
        assert longest_wait(connection, log()) == 0
        post(seconds_ago=300)
        first = longest_wait(connection, log())
        assert first > 0
        assert longest_wait(connection, log()) > first
        drain_all()
        assert longest_wait(connection, log()) == 0
