"""The latest value is the one measured last, found through the index however much is stored."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from telemetry.models import Device, Series
from telemetry.query.latest import latest
from telemetry.timeseries.engine import TABLE
from tests.telemetry.query.stored import store

pytestmark = pytest.mark.django_db


@pytest.fixture
def device() -> Device:
    return Device.objects.create(name="pump-7")


def test_newest_event_time_wins_over_last_arrival(device):
    now = datetime.now(UTC)
    store(device, "temperature", [(now, 21.5)])
    store(device, "temperature", [(now - timedelta(hours=1), 99.0)])
    assert [(metric, value) for metric, _, value in latest(device.pk)] == [("temperature", 21.5)]


def test_every_metric_has_its_own_newest_value_also_after_a_long_silence(device):
    now = datetime.now(UTC)
    long_ago = datetime(2024, 2, 29, 12, 0, 0, 250_000, tzinfo=UTC)
    store(device, "temperature", [(now - timedelta(minutes=1), 1.0), (now, 2.0)])
    store(device, "running", [(long_ago - timedelta(days=1), False), (long_ago, True)])
    Series.objects.create(device=device, metric="never-stored")
    assert latest(device.pk) == [("running", long_ago, True), ("temperature", now, 2.0)]
    assert latest(device.pk)[0].value is True


def test_other_devices_do_not_show(device):
    store(Device.objects.create(name="pump-8"), "temperature", [(datetime.now(UTC), 1.0)])
    assert latest(device.pk) == []


def test_it_takes_no_longer_with_four_hundred_thousand_readings_beside_it(device):
    now = datetime.now(UTC)
    series = [store(device, f"m{number}", [(now, float(number))]) for number in range(20)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} SELECT %s - interval '1 s' * n, s, n "
            "FROM generate_series(1, 20000) n, unnest(%s::int[]) s "
            "ON CONFLICT DO NOTHING",
            [now, [each.pk for each in series]],
        )
        cursor.execute(f"ANALYZE {TABLE}")
    took = []
    for _ in range(20):
        began = time.perf_counter()
        assert [reading.value for reading in latest(device.pk) if reading.metric == "m7"] == [7.0]
        took.append(time.perf_counter() - began)
    assert sorted(took)[len(took) // 2] < 0.010
