"""Sends what its stations measure, one request after another, and never gives up.

What is not sent yet is not stored anywhere: each device knows up to which measurement it has been heard, and
makes the rest again when it is time to send them. That buffer is bounded too, and what falls out is counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from telemetry.simulator.fleet import Measurement, SimulatedDevice, Station, Style
from telemetry.simulator.link import Answer, Unreachable
from telemetry.simulator.wire import body

__all__ = ["Courier", "Keyring", "Sender", "Tally", "parts"]

#: Measurements that a device keeps for later; older ones are dropped and counted.
KEPT_PER_DEVICE = 20_000
_PER_REQUEST = 500
#: A device with more than this to tell does not send them one by one.
_BURST = 3
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_RETRY_AFTER = 0.25, 10.0, 60.0
_REFUSED_PAUSE = 5.0
_SECOND = 1_000_000
#: Reasons that registering the fleet anew can mend.
_UNREGISTERED = {"unknown_device", "forbidden_device"}


class Sender(Protocol):
    def post(self, body: bytes, key: str) -> Answer: ...


class Keyring(Protocol):
    """Holds the key. `renew` registers the fleet again where needed, and replaces a key that no longer works."""

    @property
    def key(self) -> str: ...

    def renew(self, failed: str) -> None: ...


@dataclass(slots=True)
class Tally:
    """What became of the values sent; `dropped` counts measurements. `trouble` says why nothing goes through."""

    requests: int = 0
    accepted: int = 0
    rejected: int = 0
    dropped: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    trouble: str = ""


class Courier:
    """Carries the measurements of some stations over one connection, in order of time for each device.

    `clock` tells the time in µs; `pause(seconds)` waits and is true once it is time to stop.
    """

    def __init__(
        self,
        stations: list[Station],
        sender: Sender,
        keyring: Keyring,
        clock: Callable[[], int],
        pause: Callable[[float], bool],
    ) -> None:
        self.tally = Tally()
        self._stations, self._sender, self._keyring = stations, sender, keyring
        self._clock, self._pause = clock, pause
        self._failures = 0
        self._wait_seconds = 0.0
        self._per_request = _PER_REQUEST
        now = clock()
        self._heard = {device: device.tick_before(now) for station in stations for device in station.devices}
        self._due = [(now + _first_wait(station), number) for number, station in enumerate(stations)]
        heapq.heapify(self._due)

    def run(self) -> None:
        """Send until it is time to stop."""
        while not self.step():
            pass

    def step(self) -> bool:
        """Wait for the next station's turn and send what it has; True when it is time to stop."""
        if not self._due:
            return self._pause(1.0)
        now = self._clock()
        due, number = self._due[0]
        if due > now:
            return self._pause(min(1.0, (due - now) / _SECOND))
        station = self._stations[number]
        parcel = self._collect(station, now)
        outcome = self._deliver(parcel) if parcel.measurements else _Outcome.TAKEN
        if outcome is _Outcome.DOWN:
            return self._pause(self._wait_seconds)
        next_turn = now if parcel.has_more else max(now, due + station.interval_us)
        if outcome is _Outcome.REFUSED:
            next_turn = now + int(self._wait_seconds * _SECOND)
        else:
            self._heard.update(parcel.heard)
        heapq.heapreplace(self._due, (next_turn, number))
        return self._pause(0)

    def send_once(self) -> bool:
        """Send the newest measurement of every device; True if all of it was accepted."""
        now = self._clock()
        for station in self._stations:
            for device in station.devices:
                tick = device.tick_before(now)
                values = device.kind.values(device.seed, device.index, device.time_of(tick))
                one = Measurement(device.name, device.time_of(tick), values)
                self._deliver(_Parcel(Style.SINGLE, [one], {device: tick}, has_more=False))
        return not (self.tally.trouble or self.tally.rejected)

    def waiting(self) -> int:
        """Measurements taken and not heard yet (a device that keeps silent counts as if it spoke)."""
        now = self._clock()
        return sum(device.tick_before(now) - heard for device, heard in self._heard.items())

    def _collect(self, station: Station, now: int) -> _Parcel:
        parcel = _Parcel(station.style, [], {}, has_more=False)
        for device in station.devices:
            if not device.is_cut_off(now):
                parcel.has_more |= self._collect_from(device, now, parcel)
        if parcel.style is Style.SINGLE and len(parcel.measurements) > _BURST:
            parcel.style = Style.ARRAY
        elif parcel.style is Style.SINGLE and len(parcel.measurements) > 1:
            parcel.keep_first(station.devices[0])
        return parcel

    def _collect_from(self, device: SimulatedDevice, now: int, parcel: _Parcel) -> bool:
        newest = device.tick_before(now)
        heard = self._heard[device]
        if newest - heard > KEPT_PER_DEVICE:
            self.tally.dropped += newest - heard - KEPT_PER_DEVICE
            heard = self._heard[device] = newest - KEPT_PER_DEVICE
        for tick, measurement in device.measurements(heard, newest):
            if len(parcel.measurements) >= self._per_request:
                return True
            if measurement is not None:
                parcel.measurements.append(measurement)
                parcel.ticks.append(tick)
            parcel.heard[device] = tick
        return False

    def _deliver(self, parcel: _Parcel) -> _Outcome:
        key = self._keyring.key
        self.tally.requests += 1
        try:
            answer = self._sender.post(body(parcel.style, parcel.measurements), key)
        except Unreachable as error:
            return self._down(f"unreachable: {error}")
        unregistered = bool(_UNREGISTERED & answer.codes.keys()) or answer.status in (401, 403)
        if unregistered:
            self._keyring.renew(key)
        if answer.status in (200, 202) or (answer.status == 400 and answer.codes and not unregistered):
            return self._taken(answer, parcel)
        if answer.status == 413 and len(parcel.measurements) > 1:
            self._per_request = max(1, len(parcel.measurements) // 2)
            return self._refused(0.0, "HTTP 413")
        if answer.status in (403, 413) or (answer.status == 400 and unregistered):
            return self._refused(_REFUSED_PAUSE, f"HTTP {answer.status} for {parcel.measurements[0].device}")
        return self._down(f"HTTP {answer.status}", answer.retry_after)

    def _taken(self, answer: Answer, parcel: _Parcel) -> _Outcome:
        self._failures, self.tally.trouble = 0, ""
        self.tally.accepted += answer.accepted
        # A refusal of everything does not have to say how many values that was.
        values = sum(len(one.values) for one in parcel.measurements)
        self.tally.rejected += values if answer.status == 400 else answer.rejected
        for code, count in answer.codes.items():
            self.tally.codes[code] = self.tally.codes.get(code, 0) + count
        return _Outcome.TAKEN

    def _refused(self, wait: float, trouble: str) -> _Outcome:
        self._wait_seconds, self.tally.trouble = wait, trouble
        return _Outcome.REFUSED

    def _down(self, trouble: str, retry_after: float | None = None) -> _Outcome:
        self.tally.trouble = trouble
        self._wait_seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures, 10))
        if retry_after is not None:
            self._wait_seconds = max(self._wait_seconds, min(retry_after, _LONGEST_RETRY_AFTER))
        self._failures += 1
        return _Outcome.DOWN


class _Outcome(Enum):
    TAKEN = auto()  #: or refused for good: on to the next
    REFUSED = auto()  #: this station tries again later, the others go on
    DOWN = auto()  #: the whole platform does not take anything now


@dataclass(slots=True)
class _Parcel:
    """What goes into one request, and up to which tick each device has been heard once it is taken."""

    style: Style
    measurements: list[Measurement]
    heard: dict[SimulatedDevice, int]
    has_more: bool
    ticks: list[int] = field(default_factory=list)

    def keep_first(self, device: SimulatedDevice) -> None:
        self.measurements, self.has_more = self.measurements[:1], True
        self.heard[device] = self.ticks[0]


def _first_wait(station: Station) -> int:
    """Until the station's first turn: it has one batch by then. Stations do not all start in one moment."""
    return station.devices[0].phase_us % max(1, station.interval_us)


def parts(stations: list[Station], count: int) -> Iterator[list[Station]]:
    """The stations dealt out to `count` couriers."""
    for first in range(count):
        yield stations[first::count]
