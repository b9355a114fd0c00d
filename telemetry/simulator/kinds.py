"""The kinds of simulated devices: what each measures, how it behaves over a day, and how it breaks.

Every value is a pure function of (seed, device, time), so a reading can be made again at any time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from telemetry.simulator.noise import bell, uniform, wander
from telemetry.simulator.windows import DAY, HOUR, MINUTE, SECOND, Windows

__all__ = ["CLIMATE", "DOOR", "KINDS", "METER", "PUMP", "RESTARTS", "Kind", "Metric", "Value", "Values"]

Value = float | bool
Values = dict[str, Value]

#: Off for seconds, with nothing measured meanwhile; a counter starts again at 0.
RESTARTS = Windows(salt=1, slot=2 * HOUR, shortest=15 * SECOND, longest=40 * SECOND, chance=0.25)
_FAULTS = Windows(salt=2, slot=HOUR, shortest=2 * MINUTE, longest=20 * MINUTE, chance=0.1)
_SPIKES = Windows(salt=3, slot=HOUR, shortest=3 * SECOND, longest=8 * SECOND, chance=0.06)
_WEAR_PERIOD = 21 * DAY


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of a device type's contract; `low` and `high` bound what is physically possible."""

    name: str
    unit: str
    kind: str
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of device. `pace` is how many beats of the fleet lie between two of its measurements."""

    name: str
    description: str
    metrics: tuple[Metric, ...]
    pace: int
    measure: Callable[[int, int, int], Values]
    #: Sends a value only when it changed, and otherwise every `heartbeat` measurements; 1 = always.
    heartbeat: int = 1

    def values(self, seed: int, device: int, time_us: int) -> Values:
        """What the device measures at this time (µs), its faults included."""
        fault = _FAULTS.at(seed, device, time_us)
        if fault is not None and fault.draw < 0.3:  # the sensor hangs: the same value over and over
            time_us = fault.start
        values = self.measure(seed, device, time_us)
        spike = _SPIKES.at(seed, device, time_us)
        gauges = [metric for metric in self.metrics if metric.kind == "gauge" and metric.high is not None]
        if spike is not None and gauges:  # a broken wire reads as something impossible
            broken = gauges[int(spike.draw * len(gauges))]
            values[broken.name] = round(10 * (broken.high or 0.0), 2)
        return values


def _daily(time_us: int, peak_hour: float) -> float:
    """+1 at the peak hour (UTC), -1 twelve hours later."""
    return math.cos(2 * math.pi * (time_us / DAY - peak_hour / 24))


def _overheating(seed: int, device: int, time_us: int) -> float:
    """0 in health, rising to 1 over a fault of the kind that grows."""
    fault = _FAULTS.at(seed, device, time_us)
    if fault is None or fault.draw < 0.5:
        return 0.0
    return (time_us - fault.start) / (fault.end - fault.start)


def _is_on(seed: int, device: int, step: int) -> bool:
    busy = 0.85 if 5 <= (step // 3) % 24 < 22 else 0.35
    return uniform(seed, device, 11, step) < busy


def _pump(seed: int, device: int, time_us: int) -> Values:
    step, offset = divmod(time_us, 20 * MINUTE)
    on, before = _is_on(seed, device, step), _is_on(seed, device, step - 1)
    duty = before + (on - before) * min(1.0, offset / (4 * MINUTE))
    heat = _overheating(seed, device, time_us)
    ambient = 18 + 6 * _daily(time_us, 15) + 4 * uniform(seed, device, 12)
    wear = (time_us / _WEAR_PERIOD + uniform(seed, device, 13)) % 1
    return {
        "temperature": round(ambient + 24 * duty + 35 * heat + 0.3 * bell(seed, device, 14, time_us), 2),
        "vibration": round(abs(0.4 + 2 * duty + 1.5 * wear + 6 * heat + 0.15 * bell(seed, device, 15, time_us)), 3),
        "pressure": round(1 + 4.5 * duty * (1 - 0.4 * heat) + 0.05 * bell(seed, device, 16, time_us), 3),
        "running": on,
    }


def _climate(seed: int, device: int, time_us: int) -> Values:
    warm = 21 + 2.5 * _daily(time_us, 15) + 1.5 * wander(time_us, 2 * HOUR, seed, device, 21)
    warm += 8 * _overheating(seed, device, time_us)
    crowd = max(0.0, _daily(time_us, 13)) * (1 + 0.5 * wander(time_us, HOUR, seed, device, 22))
    humidity = 45 - 1.2 * (warm - 21) + 6 * wander(time_us, 5 * HOUR, seed, device, 23)
    return {
        "temperature": round(warm + 0.05 * bell(seed, device, 24, time_us), 2),
        "humidity": round(humidity + 0.3 * bell(seed, device, 25, time_us), 1),
        "co2": float(round(420 + 500 * crowd + 8 * bell(seed, device, 26, time_us))),
    }


def _meter(seed: int, device: int, time_us: int) -> Values:
    mean = 2 + 6 * uniform(seed, device, 31)  # kW
    since = RESTARTS.last_end(seed, device, time_us)
    wave = 2 * math.pi / DAY
    # The integral of mean · (1 + 0.6 · cos(wave · (t - peak))) since the restart, in kWh.
    peak = 18 * HOUR
    swing = 0.6 / wave * (math.sin(wave * (time_us - peak)) - math.sin(wave * (since - peak)))
    power = mean * (1 + 0.6 * _daily(time_us, 18))
    return {
        "energy": round(mean * (time_us - since + swing) / HOUR, 4),
        "power": round(power * (1 + 0.01 * bell(seed, device, 32, time_us)), 3),
        "voltage": round(230 + 3 * wander(time_us, HOUR, seed, device, 33) + 0.2 * bell(seed, device, 34, time_us), 1),
    }


def _door_traffic(time_us: int) -> float:
    return 0.7 if 6 <= time_us // HOUR % 24 < 20 else 0.1


_OPENINGS = Windows(salt=4, slot=10 * MINUTE, shortest=5 * SECOND, longest=90 * SECOND, chance=_door_traffic)


def _door(seed: int, device: int, time_us: int) -> Values:
    return {"open": _OPENINGS.at(seed, device, time_us) is not None}


PUMP = Kind(
    "pump",
    "Pump with a bearing sensor; wears out over three weeks",
    (
        Metric("temperature", "°C", "gauge", -40, 150),
        Metric("vibration", "mm/s", "gauge", 0, 50),
        Metric("pressure", "bar", "gauge", 0, 16),
        Metric("running", "", "boolean", None, None),
    ),
    pace=1,
    measure=_pump,
)
CLIMATE = Kind(
    "climate",
    "Room climate sensor",
    (
        Metric("temperature", "°C", "gauge", -40, 85),
        Metric("humidity", "%", "gauge", 0, 100),
        Metric("co2", "ppm", "gauge", 0, 10_000),
    ),
    pace=4,
    measure=_climate,
)
METER = Kind(
    "meter",
    "Energy meter; its counter starts again after a restart",
    (
        Metric("energy", "kWh", "counter", 0, None),
        Metric("power", "kW", "gauge", 0, 100),
        Metric("voltage", "V", "gauge", 0, 500),
    ),
    pace=2,
    measure=_meter,
)
DOOR = Kind(
    "door",
    "Door contact; speaks when the door moves, and now and then to say that it lives",
    (Metric("open", "", "boolean", None, None),),
    pace=1,
    measure=_door,
    heartbeat=15,
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (PUMP, CLIMATE, METER, DOOR)})
