"""The latest value is the one measured last, found through the index however much is stored."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection

from telemetry.groups import make_group
from telemetry.models import Device, DeviceSight, Series
from telemetry.query.latest import latest, latest_of
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


@pytest.mark.alone
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


def test_many_devices_at_once_near_and_long_ago(device):
    now = datetime.now(UTC)
    other = Device.objects.create(name="pump-8")
    for back in (timedelta(0), timedelta(days=10), timedelta(days=400)):
        store(device, f"after {back.days}", [(now - back - timedelta(hours=1), 1.0), (now - back, 2.0)])
    store(device, "ahead", [(now + timedelta(minutes=4), 3.0), (now, 4.0)])
    store(other, "temperature", [(now - timedelta(days=40), 5.0)])
    silent = Device.objects.create(name="pump-9")
    found = latest_of([device.pk, other.pk, silent.pk])
    assert [(each.metric, each.value) for each in found[device.pk]] == [
        ("after 0", 2.0), ("after 10", 2.0), ("after 400", 2.0), ("ahead", 3.0),
    ]  # fmt: skip
    assert [each.value for each in found[other.pk]] == [5.0] and silent.pk not in found
    assert list(latest_of([device.pk, other.pk], ["temperature"])) == [other.pk]


def test_pages_of_latest_values_show_only_what_one_sees(reader, device):
    now = datetime.now(UTC)
    store(device, "temperature", [(now, 21.5)])
    store(device, "running", [(now, True)])
    hall = make_group("plant/hall-1")
    store(Device.objects.create(name="pump-8", group=hall), "temperature", [(now, 1.0)])
    page = reader.get("/api/v1/latest", {"limit": 1}).json()
    assert [row["device"] for row in page["results"]] == ["pump-7"] and page["next"]
    assert {name: each["value"] for name, each in page["results"][0]["metrics"].items()} == {
        "running": True, "temperature": 21.5,
    }  # fmt: skip
    only = reader.get("/api/v1/latest", {"group": "plant", "metric": "temperature"}).json()["results"]
    assert [(row["device"], list(row["metrics"])) for row in only] == [("pump-8", ["temperature"])]
    assert reader.get("/api/v1/latest", {"group": "nowhere"}).status_code == 404

    DeviceSight.objects.create(user=User.objects.get(username="olga")).groups.add(hall)
    assert [row["device"] for row in reader.get("/api/v1/latest").json()["results"]] == ["pump-8"]
    for path in ("/api/v1/devices/pump-7/latest", "/api/v1/readings?device=pump-7"):
        assert reader.get(path).status_code == 404
