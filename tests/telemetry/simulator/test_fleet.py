"""The simulated fleet: the same story for the same seed, with everything in it that real devices do."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from telemetry.simulator.fleet import Measurement, SimulatedDevice, fleet, stations
from telemetry.simulator.kinds import CLIMATE, DOOR, METER, PUMP
from telemetry.simulator.windows import DAY, HOUR, MINUTE

NOON = 1_795_176_000_000_000  # 2026-11-20T12:00:00Z


def measured(device: SimulatedDevice, start: int, end: int) -> list[Measurement]:
    """Everything that a device measures in (start, end]."""
    found = device.measurements(device.tick_before(start), device.tick_before(end))
    return [measurement for _, measurement in found if measurement]


def of_kind(kind, devices: list[SimulatedDevice]) -> list[SimulatedDevice]:
    return [device for device in devices if device.kind is kind]


def test_a_measurement_depends_on_seed_device_and_time_alone() -> None:
    one, other = fleet(20, 10, seed=7), fleet(20, 10, seed=7)
    forwards = [measured(device, NOON, NOON + 10 * MINUTE) for device in one]
    backwards = [measured(device, NOON, NOON + 10 * MINUTE) for device in reversed(other)]
    assert forwards == list(reversed(backwards))


def test_another_seed_tells_another_story() -> None:
    one, other = (measured(fleet(1, 1, seed)[0], NOON, NOON + HOUR) for seed in (1, 2))
    assert [m.values for m in one] != [m.values for m in other]


@pytest.mark.parametrize(("devices", "rate"), [(50, 50.0), (10, 200.0), (100, 5.0)])
def test_the_fleet_measures_at_about_the_rate_asked_for(devices: int, rate: float) -> None:
    seconds = 600 if rate > 10 else 6000
    values = sum(
        len(measurement.values)
        for device in fleet(devices, rate, seed=3)
        for measurement in measured(device, NOON, NOON + seconds * 1_000_000)
    )
    assert values / seconds == pytest.approx(rate, rel=0.12)


def test_every_kind_measures_the_metrics_of_its_contract_within_their_range_save_for_spikes() -> None:
    beyond: Counter[str] = Counter()
    values = 0
    for device in fleet(40, 2, seed=1):
        contract = {metric.name: metric for metric in device.kind.metrics}
        for measurement in measured(device, NOON, NOON + DAY // 2):
            assert measurement.values.keys() == contract.keys()
            for name, value in measurement.values.items():
                values += 1
                metric = contract[name]
                assert isinstance(value, bool) == (metric.kind == "boolean")
                if (metric.low is not None and value < metric.low) or (metric.high is not None and value > metric.high):
                    beyond[device.kind.name] += 1
    assert 0 < beyond.total() < values / 200, "spikes should be there, and rare"


def test_an_energy_counter_only_grows_until_its_meter_restarts() -> None:
    (meter,) = of_kind(METER, fleet(10, 2, seed=5))[:1]
    readings = measured(meter, NOON, NOON + 3 * DAY)
    falls = [
        (before, after) for before, after in pairwise(readings) if after.values["energy"] < before.values["energy"]
    ]
    assert 1 <= len(falls) <= 20
    for before, after in falls:
        assert after.values["energy"] < 1, "it starts again at 0"
        assert after.time_us - before.time_us >= 15_000_000, "nothing is measured while it restarts"


def test_rooms_are_warmer_in_the_afternoon_than_at_night() -> None:
    sensors = of_kind(CLIMATE, fleet(20, 1, seed=2))
    midnight = NOON - NOON % DAY

    def mean(hour: int) -> float:
        values = [
            m.values["temperature"]
            for sensor in sensors
            for m in measured(sensor, midnight + hour * HOUR, midnight + (hour + 2) * HOUR)
        ]
        return sum(values) / len(values)

    assert mean(14) - mean(2) > 2


def test_a_door_speaks_when_it_moves_and_now_and_then_to_say_that_it_lives() -> None:
    (door,) = of_kind(DOOR, fleet(10, 2, seed=1))
    told = measured(door, NOON, NOON + 4 * HOUR)
    silences = [after.time_us - before.time_us for before, after in pairwise(told)]
    changes = sum(before.values != after.values for before, after in pairwise(told))
    assert changes >= 4
    assert door.period_us * DOOR.heartbeat == pytest.approx(max(silences), rel=1)
    assert len(told) < 4 * HOUR / door.period_us / 5


def test_devices_are_cut_off_at_times_and_pumps_run_hot_at_times() -> None:
    devices = fleet(50, 1, seed=1)
    minutes = range(NOON, NOON + 6 * HOUR, MINUTE)
    cut_off = sum(device.is_cut_off(minute) for device in devices for minute in minutes)
    assert 0.001 < cut_off / (len(devices) * len(minutes)) < 0.03
    hottest = max(
        m.values["temperature"]
        for pump in of_kind(PUMP, devices)
        for m in measured(pump, NOON, NOON + 6 * HOUR)
        if m.values["temperature"] <= 150
    )
    assert hottest > 60


def test_every_device_has_one_station() -> None:
    devices = fleet(137, 50, seed=1)
    spoken_for = [device.name for station in stations(devices) for device in station.devices]
    assert sorted(spoken_for) == sorted(device.name for device in devices)
