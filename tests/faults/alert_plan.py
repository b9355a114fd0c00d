"""Readings whose values cross thresholds now and then: made by a seed, each device's in order, times said."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.faults.plan import METRICS, Batch, Part, Plan, Reserved

__all__ = ["DEVICES_EACH", "Crossing", "InOrder", "Reading", "thresholds_for"]

DEVICES_EACH = 8
#: Within the hour that a series may lag behind the clock while its alerts are still told.
_BEGIN_SECONDS = 50 * 60
_MOST_READINGS = 4
#: Limits lie at 75, 80, 85 and 90: values meet them exactly, too.
_MODES = ((60, 74), (74, 80), (80, 90), (88, 100))

#: Event time (µs since 1970), and a value of each of METRICS.
Reading = tuple[int, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Crossing(Reserved):
    """Devices and what they measure. Thread-safe as long as each device has one sender."""

    seed: int = 0
    _walks: dict[int, _Walk] = field(default_factory=dict)

    @classmethod
    def made(cls, name: str, count: int, seed: int) -> Crossing:
        begin = int(time.time() - _BEGIN_SECONDS) * 1_000_000
        return cls(tuple(f"{name}-{number}" for number in range(count)), begin, seed)

    def readings(self, device: int, start: int, end: int) -> list[Reading]:
        """Readings [start, end) of a device, by its number."""
        walk = self._walks.setdefault(device, _Walk(f"{self.seed}/{device}", self.begin))
        return walk.until(end)[start:end]

    def body(self, batch: Batch) -> bytes:
        """The request's JSON."""
        sent: list[Any] = []
        for part in batch.parts:
            name, readings = self.devices[part.device], self.readings(part.device, part.start, part.end)
            times = [_written(at, batch.micros) for at, _ in readings]
            if batch.compact:
                columns = {metric: [values[place] for _, values in readings] for place, metric in enumerate(METRICS)}
                sent.append({"device": name, "times": times, "metrics": columns})
            else:
                sent += [
                    {"device": name, "time": at, "metrics": dict(zip(METRICS, values, strict=True))}
                    for at, (_, values) in zip(times, readings, strict=True)
                ]
        return json.dumps({"readings": sent}).encode()


class InOrder(Plan):
    """Batches of one sender, each device's readings in the order of their times."""

    def next(self) -> Batch:
        chance = self._random
        parts = []
        for device in chance.sample(self._devices, chance.randint(1, 3)):
            start = self._next[device]
            self._next[device] = end = start + chance.randint(1, _MOST_READINGS)
            parts.append(Part(device, start, end))
        compact, micros, idempotent = (chance.random() < 0.5 for _ in range(3))
        return Batch(next(self._numbers), parts, compact, micros, idempotent, wait=False, bad=False)

    @property
    def sent(self) -> dict[int, int]:
        """Device → how many of its readings are in batches."""
        return dict(self._next)


class _Walk:
    """One device's readings from the first on, made as far as they are asked for."""

    def __init__(self, seed: str, begin: int) -> None:
        self._chance = random.Random(seed)
        self._at, self._mode, self._pressure = begin, 0, 5
        self._made: list[Reading] = []

    def until(self, end: int) -> list[Reading]:
        while len(self._made) < end:
            self._made.append(self._next())
        return self._made

    def _next(self) -> Reading:
        chance = self._chance
        # Now and then a gap, longer than what thresholds bridge.
        milliseconds = chance.randint(16_000, 30_000) if chance.random() < 0.03 else chance.randint(200, 2_000)
        self._at += 1000 * milliseconds
        if chance.random() < 0.2:
            self._mode = chance.choice((0, 0, 0, 1, 2, 3))
        low, high = _MODES[self._mode]
        step = chance.randint(-5, 5) if chance.random() < 0.05 else chance.randint(-1, 1)
        self._pressure = min(10, max(0, self._pressure + step))
        return self._at, (float(chance.randint(low, high)), float(self._pressure))


def _written(at: int, micros: bool) -> int | str:
    return at if micros else datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="milliseconds")


def thresholds_for(device_type: str, device: str) -> list[dict[str, Any]]:
    """As the REST API takes them. The last one overrides the first, on that device."""
    scope = {"device_type": device_type}
    temperature, pressure = ({"scope": scope, "metric": metric} for metric in METRICS)
    hot = [{"severity": "warning", "trigger": 80, "clear": 75}, {"severity": "critical", "trigger": 90, "clear": 85}]
    long = {"for": 3, "consecutive": 3, "clear_for": 2}
    ranges = [
        {"severity": "warning", "trigger": [2, 8], "clear": [3, 7]},
        {"severity": "critical", "trigger": [1, 9]},
    ]
    return [
        {"name": "hot", **temperature, "condition": "above", "levels": hot},
        {
            "name": "hot for long",
            **temperature,
            "condition": "at_or_above",
            **long,
            "levels": [{"severity": "major", "trigger": 85, "clear": 80}],
        },
        {
            "name": "pressure",
            **pressure,
            "condition": "outside",
            "levels": ranges,
            "for": 3,
            "gap_policy": "hold",
            "max_gap": 10,
        },
        {
            "name": "jumps",
            **pressure,
            "condition": "rate_above",
            "levels": [{"severity": "info", "trigger": 2.5}],
        },
        {
            "name": "hot here",
            **temperature,
            "scope": {"device": device},
            "condition": "above",
            "levels": [{"severity": "major", "trigger": 82, "clear": 78}],
        },
    ]
