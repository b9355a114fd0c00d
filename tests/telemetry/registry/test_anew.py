"""What a process had to forget is read anew in bulk, before a request asks for it, and never as it was before the change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from telemetry.database import connect
from telemetry.models import Device, DeviceGroup, DeviceKey, DeviceType, MetricDefinition
from telemetry.registry.entries import ANY_VALUE
from telemetry.registry.registry import Registry
from telemetry.registry.slots import Slots
from telemetry.registry.watch import Watch
from tests.builders import make_device, make_key

pytestmark = pytest.mark.usefixtures("platform_db")
PUMPS = 40


class Process:
    """A registry of its own that knows all pumps and their keys, and whose watch looks when it is told to."""

    def __init__(self, own: psycopg.Connection[Any]) -> None:
        self.registry = Registry()
        self.watch = Watch(self.registry)
        self.connection = own
        self.watch.look(own)
        self.pumps = [f"pump-{number}" for number in range(PUMPS)]
        self.tokens = [make_key(make_device(name)) for name in self.pumps]
        loads = self.registry.loads
        entries = {entry.id: entry for entry in self.registry.devices(self.pumps).values()}
        self.registry.add_series(
            {device: {"flow": False, "speed": False} for device in entries}, entries, most=10, loads=loads
        )
        assert self.known("flow") == self.known("speed") == self.pumps
        assert all(self.registry.key(token, time.time()) for token in self.tokens)

    def known(self, metric: str) -> list[str]:
        """The pumps of which this metric is found without asking anybody."""
        found = self.registry.slots.find(self.pumps, [metric] * PUMPS)
        return [name for name, slot in zip(self.pumps, found.tolist(), strict=True) if slot >= 0]

    def look(self) -> None:
        self.watch.look(self.connection)

    def read_anew(self) -> None:
        self.watch.read_anew(self.connection)


@pytest.fixture
def process() -> Iterator[Process]:
    with connect(autocommit=True) as own:
        yield Process(own)


def test_devices_placed_into_a_group_are_known_again_with_it(process: Process, django_assert_num_queries: Any) -> None:
    Device.objects.update(group=DeviceGroup.objects.create(name="hall"))
    process.look()
    assert process.known("flow") == []
    with django_assert_num_queries(0):
        process.read_anew()
        assert process.known("flow") == process.known("speed") == process.pumps
        keys = [process.registry.key(token, time.time()) for token in process.tokens]
    devices = process.registry.slots.devices
    assert {entry.group_path for entry in devices.values()} == {"hall"}
    assert [key and key.device_name for key in keys] == process.pumps


def test_it_takes_a_statement_for_hundreds_of_them(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    Device.objects.update(group=DeviceGroup.objects.create(name="hall"))
    process.look()
    asked: list[str] = []
    execute = psycopg.Connection.execute

    def counted(self: Any, query: Any, *rest: Any, **options: Any) -> Any:
        asked.append(query)
        return execute(self, query, *rest, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    process.read_anew()
    assert len(asked) == 2, "devices and keys; there are no types"
    process.read_anew()
    assert len(asked) == 2, "nothing is missing any more"


def test_what_concerns_all_is_read_anew_too(process: Process) -> None:
    kind = DeviceType.objects.create(name="pump")
    Device.objects.update(type=kind)
    process.look()
    process.read_anew()
    MetricDefinition.objects.create(device_type=kind, name="flow", low=0, high=100)
    process.look()
    process.read_anew()
    slots = process.registry.slots
    found = slots.find(process.pumps, ["flow"] * PUMPS)
    assert found.min() >= 0
    assert set(slots.high[found].tolist()) == {100.0} and set(slots.low[found].tolist()) == {0.0}


def disable() -> None:
    Device.objects.filter(name="pump-7").update(enabled=False)


def rename() -> None:
    Device.objects.filter(name="pump-7").update(name="pump-x")


def make_strict() -> None:
    kind = DeviceType.objects.create(name="strict", strict=True)
    MetricDefinition.objects.create(device_type=kind, name="speed")
    Device.objects.filter(name="pump-7").update(type=kind)


def delete() -> None:
    DeviceKey.objects.filter(device__name="pump-7").delete()
    Device.objects.filter(name="pump-7").delete()


@pytest.mark.parametrize("change", [disable, rename, make_strict, delete])
def test_what_may_not_be_written_any_more_is_not_known_again(process: Process, change: Callable[[], None]) -> None:
    change()
    process.look()
    process.read_anew()
    assert process.known("flow") == [name for name in process.pumps if name != "pump-7"]


def test_a_renamed_device_is_known_by_its_new_name(process: Process) -> None:
    rename()
    process.look()
    process.read_anew()
    assert process.registry.slots.find(["pump-x", "pump-7"], ["flow", "flow"]).tolist()[1] == -1
    assert process.registry.slots.find(["pump-x"], ["flow"])[0] >= 0


def revoke() -> None:
    DeviceKey.objects.filter(device__name="pump-7").update(revoked_at=datetime.now(UTC))


def expire() -> None:
    DeviceKey.objects.filter(device__name="pump-7").update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("change", [revoke, expire, delete])
def test_a_key_that_is_no_longer_valid_is_not_known_again(process: Process, change: Callable[[], None]) -> None:
    change()
    process.look()
    process.read_anew()
    assert process.registry.key(process.tokens[7], time.time()) is None
    assert process.registry.key(process.tokens[8], time.time()) is not None


def test_a_key_revoked_between_look_and_reading_is_seen_by_either(process: Process) -> None:
    Device.objects.update(group=DeviceGroup.objects.create(name="hall"))
    process.look()
    revoke()
    process.read_anew()
    assert process.registry.key(process.tokens[7], time.time()) is None


def test_a_change_after_reading_is_seen_by_the_next_look(process: Process) -> None:
    Device.objects.update(group=DeviceGroup.objects.create(name="hall"))
    process.look()
    process.read_anew()
    revoke()
    disable()
    process.look()
    process.read_anew()
    assert process.registry.key(process.tokens[7], time.time()) is None
    assert process.known("flow") == [name for name in process.pumps if name != "pump-7"]


def test_what_was_read_before_something_was_forgotten_is_not_kept(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look between reading and keeping, as another thread's could be."""
    Device.objects.update(group=DeviceGroup.objects.create(name="hall"))
    process.look()
    learn = process.registry.learn

    def late(*read: Any) -> None:
        disable()
        revoke()
        process.registry.forget(set(Device.objects.values_list("id", flat=True)), set())
        learn(*read)

    monkeypatch.setattr(process.registry, "learn", late)
    process.read_anew()
    assert process.known("flow") == []
    assert process.registry.key(process.tokens[7], time.time()) is None


def test_a_device_that_was_met_under_two_names_is_forgotten_under_both(process: Process) -> None:
    """Two requests looked it up, one before and one after it was renamed."""
    slots, before = Slots(), process.registry.devices(["pump-7"])["pump-7"]
    rename()
    after = process.registry.devices(["pump-x"])["pump-x"]
    for entry in (after, before):
        slots.add(1, 0, entry, "flow", ANY_VALUE)
    slots.forget_devices({before.id})
    assert slots.find(["pump-7", "pump-x"], ["flow", "flow"]).tolist() == [-1, -1]
