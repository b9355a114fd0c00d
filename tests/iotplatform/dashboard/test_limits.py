"""Which levels hold for a device, and how far a value is from them."""

from __future__ import annotations

import pytest

from iotplatform.dashboard.limits import Level, distance, levels_of
from telemetry.groups import make_group
from tests.alerts.changes import make_threshold, make_type
from tests.builders import make_device
from thresholds.models import Threshold


def level(condition: str, trigger: float, high: float | None = None, severity: str = "major") -> Level:
    return Level(1, "any", condition, severity, trigger, high)


@pytest.mark.parametrize(
    ("value", "of", "words", "severity"),
    [
        (70, level("above", 80), "10 to major", ""),
        (80, level("above", 80), "0 to major", ""),
        (80, level("at_or_above", 80), "at major", "major"),
        (85, level("above", 80), "5 beyond major", "major"),
        (3, level("below", 4), "1 beyond major", "major"),
        (5, level("outside", 10, 20), "5 beyond major", "major"),
        (12, level("outside", 10, 20), "2 to major", ""),
        (12, level("inside", 10, 20), "2 beyond major", "major"),
        (25, level("inside", 10, 20), "5 to major", ""),
        (1, level("equal", 1), "at major", "major"),
        (2, level("equal", 1), "", ""),
        (2, level("not_equal", 1), "at major", "major"),
    ],
)
def test_the_distance_to_a_level(value: float, of: Level, words: str, severity: str) -> None:
    assert distance(value, [of]) == (words, severity)


def test_the_worst_crossed_level_counts_else_the_nearest() -> None:
    levels = [level("above", 70, severity="warning"), level("above", 90, severity="critical")]
    assert distance(95, levels, "°C") == ("5 °C beyond critical", "critical")
    assert distance(75, levels, "°C") == ("5 °C beyond warning", "warning")
    assert distance(68, levels, "°C") == ("2 °C to warning", "")
    assert distance(68, []) == ("", "")


@pytest.mark.usefixtures("platform_db")
def test_thresholds_of_device_type_group_and_all_hold_and_overridden_ones_do_not() -> None:
    group = make_group("plant/hall-1")
    device = make_device(type=make_type(), group=group)
    other = make_threshold(make_device(), name="of another")
    own = make_threshold(device, name="own")
    of_plant = make_threshold(device, name="of the plant")
    Threshold.objects.filter(pk=of_plant.pk).update(device=None, group=group.parent)
    everybody = make_threshold(device, name="of all")
    Threshold.objects.filter(pk=everybody.pk).update(device=None, all_devices=True)
    disabled = make_threshold(device, name="disabled", enabled=False)
    assert {each.name for each in levels_of(device)["temperature"]} == {"own", "of the plant", "of all"}
    Threshold.objects.filter(pk=own.pk).update(overrides=everybody)
    assert {each.name for each in levels_of(device)["temperature"]} == {"own", "of the plant"}
    assert {other.name, disabled.name}.isdisjoint({each.name for each in levels_of(device)["temperature"]})
