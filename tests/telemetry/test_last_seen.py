"""When devices last spoke reaches the table, some thousand at a time, whatever happens between."""

from __future__ import annotations

import pytest
import redis
from django.conf import settings
from django.db import OperationalError

from telemetry import last_seen
from telemetry.last_seen import write_last_seen
from telemetry.log import keys
from telemetry.log.redis_streams import RedisLog
from telemetry.models import Device, DeviceLastSeen

_DEVICES = 25


@pytest.fixture
def log(redis_client: redis.Redis) -> RedisLog:
    return RedisLog(settings.SERVERS["redis_url"], 3.0)


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_seen, "_ROWS_A_RUN", 10)
    scan = redis.Redis.hscan
    # The server answers a small hash as a whole, however few were asked for.
    monkeypatch.setattr(redis.Redis, "hscan", lambda self, name, at, count: scan(self, name, at, count=3))


def seen(client: redis.Redis, at: int) -> None:
    many = {device.pk: at for device in Device.objects.all()}
    client.hset(keys.LAST_SEEN, mapping=many | {10**9 + number: at for number in range(600)})


@pytest.mark.django_db(transaction=True)
def test_all_are_written_in_some_runs_and_newer_ones_wait_for_their_turn(
    redis_client: redis.Redis, log: RedisLog
) -> None:
    Device.objects.bulk_create(Device(name=f"d{number}") for number in range(_DEVICES))
    seen(redis_client, 1_700_000_000_000_000)
    assert write_last_seen(log) > 0
    assert redis_client.exists(f"{keys.LAST_SEEN}:writing"), "more than one run's worth"
    seen(redis_client, 1_800_000_000_000_000)
    while write_last_seen(log):
        pass
    assert {row.at.timestamp() for row in DeviceLastSeen.objects.all()} == {1_800_000_000}
    assert DeviceLastSeen.objects.count() == _DEVICES, "devices that are gone are passed over"


@pytest.mark.django_db(transaction=True)
def test_what_could_not_be_written_is_written_later(
    redis_client: redis.Redis, log: RedisLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    Device.objects.create(name="d")
    seen(redis_client, 1_700_000_000_000_000)
    right = last_seen._WRITE
    monkeypatch.setattr(last_seen, "_WRITE", "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5), %s, %s")
    with pytest.raises(OperationalError):
        write_last_seen(log)
    monkeypatch.setattr(last_seen, "_WRITE", right)
    while write_last_seen(log):
        pass
    assert DeviceLastSeen.objects.get().at.timestamp() == 1_700_000_000
