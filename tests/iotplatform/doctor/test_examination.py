"""`manage.py doctor` over the real servers: well, unwell, and gone."""

import json
import time
from dataclasses import replace

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection

from iotplatform.doctor.examination import examine
from iotplatform.doctor.findings import Finding
from iotplatform.doctor.report import is_well
from iotplatform.observability.health import worker_names
from telemetry.log import keys
from telemetry.models import LogLayout
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import MICROSECONDS_PER_DAY, engine_in_use
from tests.iotplatform.observability.hanging import point_database_at, silent_server


@pytest.fixture
def healthy(platform_db, redis_client) -> None:
    """Workers that give signs of life, and partitions ahead."""
    import numpy as np

    for name in worker_names():
        redis_client.set(keys.worker(name), 1, ex=60)
    now = int(time.time() * 1e6)
    with connection.cursor() as cursor:
        times = np.array([now, now + 14 * MICROSECONDS_PER_DAY], np.int64)
        Coverage(engine_in_use(cursor), 7).ensure(cursor, times)


def findings(**changes) -> dict[str, Finding]:
    """By what they are about; where there are several, the worst."""
    found = examine(replace(django_settings.PLATFORM, **changes))
    order = {"ok": 0, "warn": 1, "fail": 2}
    return {finding.about: finding for finding in sorted(found, key=lambda finding: order[finding.level])}


def test_a_healthy_platform_is_well(healthy):
    found = examine(django_settings.PLATFORM)
    assert is_well(found), [finding for finding in found if finding.level == "fail"]
    assert {finding.about for finding in found if finding.level == "warn"} <= {"web", "disk", "columnar"}
    about = {finding.about for finding in found}
    assert {"database", "durability", "migrations", "engine", "partitions", "log", "log durability", "shards"} <= about
    assert {"workers", "waiting", "quarantine", "clock", "disk", "cache"} <= about


def test_every_finding_that_is_not_well_says_how_to_mend_it(platform_db, redis_client):
    for finding in examine(replace(django_settings.PLATFORM, shards=7, debug=True)):
        assert finding.level == "ok" or finding.mend


def test_missing_workers_are_named(healthy, redis_client):
    redis_client.delete(keys.worker("drain2"))
    assert findings()["workers"].level == "fail"
    assert "drain2" in findings()["workers"].text


def test_shards_that_disagree(healthy):
    found = findings(shards=7)["shards"]
    assert found.level == "fail"
    assert "SHARDS=4" in found.mend


def test_a_closed_layout(healthy):
    LogLayout.objects.update(open=False)
    assert findings()["shards"].level == "fail"


def test_a_layout_that_the_log_does_not_know(healthy, redis_client):
    redis_client.set(keys.EPOCH, 9)
    assert findings()["shards"].level == "fail"


@pytest.mark.parametrize(
    ("setting", "value", "text", "level"),
    [
        ("appendfsync", "everysec", "appendfsync is everysec", "warn"),
        ("appendfsync", "no", "appendfsync is no", "fail"),
        ("appendonly", "no", "appendonly is off", "fail"),
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru", "fail"),
        ("maxmemory", "100mb", "maxmemory is 100 MiB", "warn"),
    ],
)
def test_a_log_server_that_could_lose_readings(healthy, redis_client, setting, value, text, level):
    before = redis_client.config_get(setting)[setting]
    redis_client.config_set(setting, value)
    try:
        (found,) = [finding for finding in findings().values() if finding.text.startswith(text)]
        assert found.level == level
    finally:
        redis_client.config_set(setting, before)


def test_a_cache_that_is_the_log(healthy, settings):
    settings.PLATFORM = replace(settings.PLATFORM, cache_url=settings.SERVERS["redis_url"])
    assert findings()["cache"].level == "warn"


@pytest.mark.parametrize("parameter", ["synchronous_commit", "full_page_writes"])
def test_a_database_that_could_lose_readings(healthy, parameter):
    """Set for the whole server, as somebody in search of speed would."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER SYSTEM SET {parameter} = off")
        cursor.execute("SELECT pg_reload_conf()")
    try:
        deadline = time.monotonic() + 10
        while (found := findings()["durability"]).level == "ok" and time.monotonic() < deadline:
            pass
        assert found.level == "fail"
        assert f"SET {parameter} = on" in found.mend
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER SYSTEM RESET {parameter}")
            cursor.execute("SELECT pg_reload_conf()")


def test_an_engine_other_than_the_wanted_one(healthy):
    with connection.cursor() as cursor:
        other = {"partitions": "timescale", "timescale": "partitions"}[engine_in_use(cursor).name]
    assert findings(timeseries_engine=other)["engine"].level == "fail"


def test_a_table_that_is_not_migrated(healthy):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
    try:
        found = findings()
        assert found["migrations"].level == "fail"
        assert "engine" not in found  # what it would say is not worth knowing
    finally:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('sessions', '0001_initial', now())"
            )


def test_servers_that_are_gone_or_hang_are_findings_within_ten_seconds(healthy, settings, monkeypatch):
    with silent_server() as port:
        point_database_at(monkeypatch, port)
        settings.SERVERS = {**settings.SERVERS, "redis_url": "redis://:hunter2@127.0.0.1:1/0"}
        began = time.monotonic()
        found = findings()
    assert time.monotonic() - began < 10
    assert (found["database"].level, found["log"].level) == ("fail", "fail")
    assert "DATABASE_URL" in found["database"].mend
    assert "hunter2" not in str(found)


def test_the_command_prints_json_and_exits_by_the_verdict(healthy, redis_client, capsys):
    call_command("doctor", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert set(report["findings"][0]) == {"about", "level", "text", "mend"}
    redis_client.delete(keys.worker("drain1"))
    with pytest.raises(SystemExit) as stop:
        call_command("doctor")
    assert stop.value.code == 1
    assert "drain1" in capsys.readouterr().out
