"""Which readings are sent: every one follows from its device and its index, so that what is stored can be checked."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

__all__ = ["METRICS", "Batch", "Part", "Plan", "Reserved", "bad_time", "values"]

METRICS = ("temperature", "pressure")
_STEP = 1_000  # µs from one reading of a device to its next
_MOST_READINGS = 80
_SHUFFLED = 5  # batches that a sender holds at a time and sends in any order: late data
_FAR_FUTURE = 4_102_444_800  # 2100-01-01


@dataclass(frozen=True, slots=True)
class Part:
    """Readings [start, end) of one device; each has a value for every metric."""

    device: int
    start: int
    end: int


@dataclass(slots=True)
class Batch:
    """One request. ``bad``: with one reading of the year 2100, which is refused and goes to quarantine."""

    number: int
    parts: list[Part]
    compact: bool
    micros: bool
    idempotent: bool
    wait: bool
    bad: bool
    count: int = field(init=False)

    def __post_init__(self) -> None:
        self.count = len(METRICS) * sum(part.end - part.start for part in self.parts)


@dataclass(frozen=True, slots=True)
class Reserved:
    """The devices of one run and the time of their first reading (µs since 1970)."""

    devices: tuple[str, ...]
    begin: int

    @classmethod
    def named(cls, prefix: str, count: int) -> Reserved:
        """Readings begin two days ago: neither too old nor in the future, even for a clock that is a day back."""
        begin = int(time.time() - 2 * 86_400) * 1_000_000
        return cls(tuple(f"{prefix}-{number}" for number in range(count)), begin)

    def times(self, start: int, end: int) -> NDArray[np.int64]:
        return self.begin + _STEP * np.arange(start, end, dtype=np.int64)

    def body(self, batch: Batch) -> bytes:
        """The request's JSON."""
        readings: list[object] = []
        for part in batch.parts:
            times = [self._written(at, batch.micros) for at in self.times(part.start, part.end).tolist()]
            columns = {
                metric: values(part.device, number, part.start, part.end).tolist()
                for number, metric in enumerate(METRICS)
            }
            name = self.devices[part.device]
            if batch.compact:
                readings.append({"device": name, "times": times, "metrics": columns})
            else:
                readings += [
                    {"device": name, "time": at, "metrics": {metric: columns[metric][row] for metric in METRICS}}
                    for row, at in enumerate(times)
                ]
        if batch.bad:
            device = self.devices[batch.parts[0].device]
            readings.append({"device": device, "time": bad_time(batch), "metrics": {METRICS[0]: 1.0}})
        return json.dumps({"readings": readings}).encode()

    @staticmethod
    def _written(at: int, micros: bool) -> int | str:
        return at if micros else datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="milliseconds")


def values(device: int, metric: int, start: int, end: int) -> NDArray[np.float64]:
    """Tells device, metric and index apart; exact as a double."""
    return np.arange(start, end, dtype=np.float64) + metric * 2.0**28 + device * 2.0**30


def bad_time(batch: Batch) -> int:
    """In seconds since 1970, another one for every batch."""
    return _FAR_FUTURE + batch.number


class Plan:
    """The batches of one sender, endless and the same for the same seed. Not thread-safe."""

    def __init__(self, seed: int, sender: int, devices: list[int]) -> None:
        self._random = random.Random(f"{seed}/{sender}")
        self._devices = devices
        self._next = dict.fromkeys(devices, 0)
        self._numbers = iter(range(sender * 10_000_000, (sender + 1) * 10_000_000))
        self._held: list[Batch] = []

    def next(self) -> Batch:
        """Some batch of those at hand: older readings often come after newer ones."""
        while len(self._held) < _SHUFFLED:
            self._held.append(self._make())
        return self._held.pop(self._random.randrange(len(self._held)))

    def pause(self, mean: float) -> float:
        """Seconds until the next request."""
        return self._random.expovariate(1 / mean)

    def _make(self) -> Batch:
        chance = self._random
        parts = []
        for device in chance.sample(self._devices, chance.randint(1, min(3, len(self._devices)))):
            start = self._next[device]
            self._next[device] = end = start + chance.randint(1, _MOST_READINGS)
            parts.append(Part(device, start, end))
        idempotent = chance.random() < 0.5
        return Batch(
            next(self._numbers),
            parts,
            compact=chance.random() < 0.6,
            micros=chance.random() < 0.5,
            idempotent=idempotent,
            wait=chance.random() < 0.08,
            bad=idempotent and chance.random() < 0.2,
        )
