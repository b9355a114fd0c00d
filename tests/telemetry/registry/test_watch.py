"""What a process remembers of devices and keys is true again within seconds of any change, however it was made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import connection

from telemetry.database import connect
from telemetry.deletion import delete_device
from telemetry.models import Device, DeviceGroup, DeviceKey, DeviceType, MetricDefinition
from telemetry.registry import watch as watch_module
from telemetry.registry.registry import Registry, RegistryStale, registry
from telemetry.registry.watch import Watch
from tests.builders import make_device, make_key, post_readings, wait_until

pytestmark = pytest.mark.usefixtures("platform_db")
WITHIN = 5.0


def post(key: str, device: str = "pump-7", value: float = 1.0) -> tuple[int, str]:
    """(status, code of the first refusal) of one reading."""
    answer = post_readings(key, {"device": device, "metrics": {"temperature": value}})
    errors = answer.json().get("errors") or [{"code": ""}]
    return answer.status_code, errors[0]["code"]


def sql(statement: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def disable() -> None:
    Device.objects.filter(name="pump-7").update(enabled=False)


def disable_by_sql() -> None:
    sql("UPDATE telemetry_device SET enabled = false")


def rename() -> None:
    Device.objects.filter(name="pump-7").update(name="pump-8")


def delete() -> None:
    delete_device(Device.objects.get(name="pump-7"))


def revoke() -> None:
    DeviceKey.objects.update(revoked_at=datetime.now(UTC))


def revoke_by_sql() -> None:
    sql("UPDATE telemetry_devicekey SET revoked_at = now()")


def expire() -> None:
    DeviceKey.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (disable, (400, "device_disabled")),
        (disable_by_sql, (400, "device_disabled")),
        (rename, (400, "unknown_device")),
        (delete, (400, "unknown_device")),
        (revoke, (401, "")),
        (revoke_by_sql, (401, "")),
        (expire, (401, "")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_change_is_effective_within_five_seconds(change: Callable[[], None], answer: tuple[int, str]) -> None:
    make_device("pump-7")
    key = make_key()
    assert post(key)[0] == 202
    change()
    wait_until(lambda: post(key) == answer, WITHIN, f"{answer}, but it is {post(key)}")


def test_a_narrowed_range_is_effective(request: pytest.FixtureRequest) -> None:
    kind = DeviceType.objects.create(name="pump")
    metric = MetricDefinition.objects.create(device_type=kind, name="temperature", low=0, high=100)
    make_device("pump-7", type=kind)
    key = make_key()
    assert post(key, value=90)[0] == 202
    MetricDefinition.objects.filter(pk=metric.pk).update(high=50)
    wait_until(lambda: post(key, value=90) == (400, "out_of_range"), WITHIN)
    assert post(key, value=40)[0] == 202


def test_a_device_moved_out_of_its_group_is_out_of_reach_of_the_groups_key() -> None:
    inside, outside = DeviceGroup.objects.create(name="inside"), DeviceGroup.objects.create(name="outside")
    make_device("pump-7", group=inside)
    key = make_key(group=inside)
    assert post(key)[0] == 202
    Device.objects.filter(name="pump-7").update(group=outside)
    wait_until(lambda: post(key)[0] == 403, WITHIN)


class Watched:
    """A registry of its own with a watch that looks when it is told to."""

    def __init__(self, own: psycopg.Connection[Any]) -> None:
        self.registry = Registry()
        self.watch = Watch(self.registry)
        self._connection = own

    def look(self) -> None:
        self.watch.look(self._connection)


@pytest.fixture
def watched() -> Iterator[Watched]:
    with connect(autocommit=True) as own:
        found = Watched(own)
        found.look()
        yield found


def test_a_transaction_that_commits_late_is_seen_although_later_ones_were(watched: Watched) -> None:
    make_device("pump-7")
    key = make_key()
    with connect(autocommit=True) as slow:
        slow.execute("BEGIN")
        slow.execute("UPDATE telemetry_devicekey SET revoked_at = now()")
        make_device("other")
        Device.objects.filter(name="other").update(enabled=False)
        watched.look()
        watched.look()
        assert watched.registry.key(key, time.time()) is not None
        slow.execute("COMMIT")
    watched.look()
    assert watched.registry.key(key, time.time()) is None


def test_what_did_not_change_stays_remembered(watched: Watched, django_assert_num_queries: Any) -> None:
    make_device("pump-7")
    key = make_key()
    assert watched.registry.key(key, time.time()) is not None
    make_device("other")
    Device.objects.filter(name="other").update(enabled=False)
    watched.look()
    with django_assert_num_queries(0):
        assert watched.registry.key(key, time.time()) is not None


@pytest.mark.alone
def test_without_its_database_a_process_knows_that_it_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    make_device("pump-7")
    key = make_key()
    assert post(key)[0] == 202

    def away(**_: object) -> None:
        raise psycopg.OperationalError("the server is away")

    with monkeypatch.context() as patch:
        patch.setattr(watch_module, "connect", away)
        began = time.monotonic()
        sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()",
            "%pg_snapshot_xmin%",
        )

        def is_stale() -> bool:
            try:
                registry.require_fresh()
            except RegistryStale:
                return True
            return False

        wait_until(is_stale, 15)
        assert time.monotonic() - began < 1.5
        assert post_readings(key, {"device": "pump-7", "metrics": {"temperature": 1.0}}).status_code == 503
    wait_until(lambda: post(key)[0] == 202, WITHIN)


def test_a_device_disabled_while_its_series_are_looked_up_is_not_remembered_as_enabled(watched: Watched) -> None:
    """The change is told between reading the device and keeping what was read."""
    make_device("pump-7")
    loads = watched.registry.loads
    read = watched.registry.devices(["pump-7"])["pump-7"]
    disable()
    watched.look()
    watched.registry.add_series({read.id: {"temperature": False}}, {read.id: read}, 10, loads)
    assert ("pump-7", "temperature") not in watched.registry.slots.by_name


def test_all_of_a_process_s_first_requests_wait_until_the_database_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first of them did once: in a new web process the others were refused, as if the database were away."""
    connects = threading.Event()

    def connect_later(*, autocommit: bool) -> psycopg.Connection[Any]:
        assert connects.wait(10)
        return connect(autocommit=autocommit)

    monkeypatch.setattr(watch_module, "connect", connect_later)
    watched = Registry()
    watch = Watch(watched)
    came_back: list[float] = []

    def request() -> None:
        watch.start()
        came_back.append(watched.heard_at)

    requests = [threading.Thread(target=request, daemon=True) for _ in range(3)]
    for each in requests:
        each.start()
    requests[-1].join(0.2)
    assert not came_back
    connects.set()
    for each in requests:
        each.join(10)
    watch.stop()
    assert len(came_back) == 3 and all(heard > 0 for heard in came_back)
