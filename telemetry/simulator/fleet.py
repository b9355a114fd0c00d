"""A simulated fleet: which devices there are, when each measures, and when it is cut off.

Pure and repeatable by seed. As every measurement can be made again from its time, a device needs no memory
for what it has not sent yet: it only remembers up to when it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from telemetry.simulator.kinds import CLIMATE, DOOR, METER, PUMP, RESTARTS, Kind, Values
from telemetry.simulator.noise import uniform
from telemetry.simulator.windows import HOUR, MINUTE, SECOND, Windows

__all__ = ["Measurement", "SimulatedDevice", "Station", "Style", "fleet", "stations"]

#: Cut off from the network for minutes: it goes on measuring, and sends it all when it is back.
_OUTAGES = Windows(salt=5, slot=HOUR, shortest=30 * SECOND, longest=4 * MINUTE, chance=0.15)

#: Of every ten devices.
_MIX = (CLIMATE, PUMP, METER, CLIMATE, PUMP, DOOR, CLIMATE, PUMP, METER, CLIMATE)
_CLIMATE_PER_GATEWAY = 10


class Style(Enum):
    """How a station words its requests."""

    SINGLE = "one object"
    ARRAY = "an array of objects"
    WRAPPED = 'objects of several devices in {"readings": […]}'
    COMPACT = "one compact object with many times"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one device measured at one time (µs since 1970, UTC)."""

    device: str
    time_us: int
    values: Values


@dataclass(frozen=True, slots=True)
class SimulatedDevice:
    """One device. It measures at `phase_us + n * period_us`, n = 0, 1, …"""

    index: int
    kind: Kind
    seed: int
    period_us: int
    phase_us: int

    @property
    def name(self) -> str:
        return f"sim-{self.kind.name}-{self.index + 1:04d}"

    def tick_before(self, time_us: int) -> int:
        """The number of the last measurement at or before this time."""
        return (time_us - self.phase_us) // self.period_us

    def time_of(self, tick: int) -> int:
        return self.phase_us + tick * self.period_us

    def is_cut_off(self, time_us: int) -> bool:
        return _OUTAGES.at(self.seed, self.index, time_us) is not None

    def measure(self, tick: int) -> Measurement | None:
        """Measurement number `tick`; None while it restarts, or where there is nothing new to say."""
        time_us = self.time_of(tick)
        if RESTARTS.at(self.seed, self.index, time_us) is not None:
            return None
        values = self.kind.values(self.seed, self.index, time_us)
        if tick % self.kind.heartbeat:
            before = self.kind.values(self.seed, self.index, self.time_of(tick - 1))
            if before == values:
                return None
        return Measurement(self.name, time_us, values)

    def measurements(self, after: int, upto: int) -> Iterator[tuple[int, Measurement | None]]:
        """(tick, measurement) of the ticks in (after, upto], in order of time."""
        for tick in range(after + 1, upto + 1):
            yield tick, self.measure(tick)


@dataclass(frozen=True, slots=True)
class Station:
    """Devices that share requests (mostly one), and how many measurements each collects before it sends."""

    style: Style
    devices: tuple[SimulatedDevice, ...]
    batch: int

    @property
    def interval_us(self) -> int:
        return self.batch * self.devices[0].period_us


def fleet(devices: int, rate: float, seed: int) -> list[SimulatedDevice]:
    """`devices` devices that together measure about `rate` values a second (outages and restarts aside)."""
    kinds = [_MIX[index % len(_MIX)] for index in range(devices)]
    # A device that mostly keeps silent counts for its heartbeats and a few changes.
    values_per_beat = sum(len(kind.metrics) / (kind.pace * max(1, 0.9 * kind.heartbeat)) for kind in kinds)
    beat_us = max(1, round(values_per_beat / rate * SECOND))
    return [
        SimulatedDevice(
            index,
            kind,
            seed,
            period_us=kind.pace * beat_us,
            phase_us=int(uniform(seed, index, 41) * kind.pace * beat_us),
        )
        for index, kind in enumerate(kinds)
    ]


def stations(devices: list[SimulatedDevice]) -> list[Station]:
    """Who sends for whom: room sensors through shared gateways, everything else by itself."""
    climate = [device for device in devices if device.kind is CLIMATE]
    gateways = [
        Station(Style.WRAPPED, tuple(climate[start : start + _CLIMATE_PER_GATEWAY]), batch=2)
        for start in range(0, len(climate), _CLIMATE_PER_GATEWAY)
    ]
    return gateways + [_station(device) for device in devices if device.kind is not CLIMATE]


def _station(device: SimulatedDevice) -> Station:
    if device.kind is METER:
        return Station(Style.COMPACT, (device,), batch=6)
    if device.kind is PUMP and device.index % 2:
        return Station(Style.ARRAY, (device,), batch=4)
    return Station(Style.SINGLE, (device,), batch=1)
