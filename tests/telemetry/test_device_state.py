"""One rule for the state of a device, in Python and in SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from telemetry.device_state import DeviceState, in_state, state_of, with_expected_interval
from telemetry.models import Device, DeviceLastSeen, DeviceType, MetricDefinition

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GRACE = 10


@pytest.fixture(autouse=True)
def ten_seconds_of_grace(settings: Any) -> None:
    assert 2 * settings.PLATFORM.last_seen_flush_seconds == GRACE


@pytest.mark.parametrize(
    ("interval", "age", "state"),
    [
        (10, 0, "online"),
        (10, 15 + GRACE, "online"),
        (10, 16 + GRACE, "late"),
        (10, 30 + GRACE, "late"),
        (10, 31 + GRACE, "silent"),
        (None, 450 + GRACE, "online"),
        (None, 451 + GRACE, "late"),
        (None, 901 + GRACE, "silent"),
        (1e300, 1e9, "online"),
        (10, -3600, "online"),
    ],
)
def test_late_is_one_and_a_half_intervals_and_silent_three(interval: float | None, age: float, state: str) -> None:
    assert state_of(True, NOW - timedelta(seconds=age), interval, NOW) == state
    assert state_of(False, NOW - timedelta(seconds=age), interval, NOW) == "disabled"


def test_a_device_that_never_spoke() -> None:
    assert state_of(True, None, 10, NOW) == "never_seen"


def test_sql_and_python_agree(db: None) -> None:
    types: list[DeviceType | None] = [None]
    for name, intervals in (
        ("fast", [10, 600]),
        ("slow", [3600]),
        ("unknown", [None]),
        ("half", [None, 60]),
        ("bare", []),
    ):
        kind = DeviceType.objects.create(name=name)
        for number, interval in enumerate(intervals):
            MetricDefinition.objects.create(device_type=kind, name=str(number), expected_interval=interval)
        types.append(kind)
    for kind in types:
        for age in (None, 1, 18, 30, 90, 150, 400, 700, 1000, 6000, 20_000):
            for enabled in (True, False):
                device = Device.objects.create(name=f"{kind} {age} {enabled}", type=kind, enabled=enabled)
                if age is not None:
                    DeviceLastSeen.objects.create(device=device, at=NOW - timedelta(seconds=age))
    everyone = with_expected_interval(Device.objects.select_related("last_seen"))
    found: dict[str, str] = {}
    for state in DeviceState.values:
        for device in in_state(everyone, state, NOW):
            assert device.name not in found
            found[device.name] = state
    expected = {
        device.name: str(
            state_of(
                device.enabled, getattr(getattr(device, "last_seen", None), "at", None), device.expected_interval, NOW
            )
        )
        for device in everyone
    }
    assert found == expected
    assert set(expected.values()) == set(DeviceState.values)
