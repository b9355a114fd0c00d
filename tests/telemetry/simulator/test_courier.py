"""What a courier does when the platform is slow, full, gone, or does not know it: it loses nothing it can keep."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest

from telemetry.simulator import courier as courier_module
from telemetry.simulator.courier import Courier
from telemetry.simulator.fleet import Measurement, SimulatedDevice, Station, Style, fleet, stations
from telemetry.simulator.kinds import PUMP
from telemetry.simulator.link import Answer, Unreachable

START = 1_795_176_000_000_000
SECOND = 1_000_000


class World:
    """A clock that only waiting moves, a platform that answers as told, and a keyring."""

    def __init__(self, answer: Callable[[World, list[dict]], Answer] | None = None) -> None:
        self.now = START
        self.waits: list[float] = []
        self.taken: list[dict] = []
        self.requests: list[tuple[int, list[dict]]] = []
        self.key = "key-1"
        self.renewals = 0
        self._answer = answer or (lambda world, readings: world.take(readings))

    def clock(self) -> int:
        self.now += 1
        return self.now

    def pause(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += round(seconds * SECOND)
        return False

    def post(self, body: bytes, key: str) -> Answer:
        readings = _readings(json.loads(body))
        self.requests.append((self.now, readings))
        return self._answer(self, readings)

    def take(self, readings: list[dict]) -> Answer:
        self.taken += readings
        return Answer(202, accepted=len(readings))

    def renew(self, failed: str) -> None:
        self.renewals += 1
        self.key = f"key-{self.renewals + 1}"

    def courier(self, fleet_stations: list[Station]) -> Courier:
        return Courier(fleet_stations, self, self, self.clock, self.pause)

    def run(self, courier: Courier, seconds: float) -> None:
        end = self.now + seconds * SECOND
        while self.now < end:
            courier.step()


def _readings(body: object) -> list[dict]:
    """Every form as a list of {device, time, metrics}."""
    if isinstance(body, list):
        return body
    if "readings" in body:
        return body["readings"]
    if "times" in body:
        return [
            {"device": body["device"], "time": time, "metrics": {name: v[place] for name, v in body["metrics"].items()}}
            for place, time in enumerate(body["times"])
        ]
    return [body]


def pump(period_seconds: float = 1, index: int = 1) -> SimulatedDevice:
    return SimulatedDevice(index, PUMP, seed=1, period_us=int(period_seconds * SECOND), phase_us=0)


def single(device: SimulatedDevice) -> Station:
    return Station(Style.SINGLE, (device,), batch=1)


def expected(device: SimulatedDevice, end: int) -> list[Measurement]:
    found = device.measurements(device.tick_before(START), device.tick_before(end))
    return [measurement for _, measurement in found if measurement]


def assert_all_taken_in_order(world: World, device: SimulatedDevice) -> None:
    taken = [reading for reading in world.taken if reading["device"] == device.name]
    times = [reading["time"] for reading in taken]
    assert times == sorted(times), "in order of time"
    last = expected(device, world.now)
    assert len(last) - 2 <= len(taken) <= len(last), "everything measured was sent, once"
    assert [reading["metrics"] for reading in taken] == [m.values for m in last[: len(taken)]]


def test_a_whole_fleet_sends_each_measurement_once_and_in_order() -> None:
    world = World()
    devices = fleet(20, 40, seed=1)
    courier = world.courier(stations(devices))
    world.run(courier, 120)
    by_device: dict[str, list[dict]] = {}
    for reading in world.taken:
        by_device.setdefault(reading["device"], []).append(reading["metrics"])
    for device in devices:
        told = by_device.get(device.name, [])
        assert told == [m.values for m in expected(device, world.now)][: len(told)]
    assert len(world.taken) + courier.waiting() >= sum(len(expected(device, world.now)) for device in devices)
    assert courier.tally.accepted == len(world.taken) > 500


@pytest.mark.parametrize(
    "trouble", [Answer(503), Answer(500), Answer(429), Answer(404), Answer(400), Unreachable("refused")]
)
def test_nothing_is_lost_while_the_platform_takes_nothing(trouble: Answer | Exception) -> None:
    def answer(world: World, readings: list[dict]) -> Answer:
        if world.now < START + 60 * SECOND:
            if isinstance(trouble, Exception):
                raise trouble
            return trouble
        return world.take(readings)

    world = World(answer)
    device = pump()
    courier = world.courier([single(device)])
    world.run(courier, 59)
    assert courier.tally.trouble
    assert courier.waiting() >= 55
    assert len(world.requests) < 20, "it does not hammer a platform that is down"
    world.run(courier, 60)
    assert_all_taken_in_order(world, device)
    assert courier.tally.trouble == ""
    assert courier.tally.dropped == 0


def test_retry_after_is_honoured() -> None:
    world = World(lambda world, readings: Answer(503, retry_after=7))
    world.run(world.courier([single(pump())]), 60)
    times = [at for at, _ in world.requests]
    assert all(after - before >= 7 * SECOND for before, after in itertools.pairwise(times))
    assert len(times) >= 5


def test_a_device_that_was_cut_off_sends_what_it_kept_in_one_burst() -> None:
    device = next(
        candidate
        for candidate in (pump(index=index) for index in range(500))
        if any(candidate.is_cut_off(START + s * SECOND) for s in range(20, 100)) and not candidate.is_cut_off(START)
    )
    world = World()
    world.run(world.courier([single(device)]), 500)
    assert_all_taken_in_order(world, device)
    sizes = [len(readings) for _, readings in world.requests]
    assert max(sizes) >= 20, "a late burst"
    assert sizes.count(1) > 100, "one by one otherwise"


def test_a_full_buffer_drops_the_oldest_and_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "KEPT_PER_DEVICE", 30)

    def answer(world: World, readings: list[dict]) -> Answer:
        return Answer(503) if world.now < START + 100 * SECOND else world.take(readings)

    world = World(answer)
    device = pump()
    courier = world.courier([single(device)])
    world.run(courier, 130)
    measurements = expected(device, world.now)
    assert courier.tally.dropped > 50
    assert len(world.taken) + courier.tally.dropped + courier.waiting() == pytest.approx(len(measurements), abs=2)
    assert world.taken[-1]["metrics"] in [m.values for m in measurements[-2:]]


def test_a_body_that_is_too_large_is_sent_in_smaller_ones() -> None:
    def answer(world: World, readings: list[dict]) -> Answer:
        if world.now < START + 60 * SECOND:
            return Answer(503)
        return Answer(413) if len(readings) > 10 else world.take(readings)

    world = World(answer)
    device = pump()
    courier = world.courier([single(device)])
    world.run(courier, 100)
    assert_all_taken_in_order(world, device)


def test_a_key_that_no_longer_works_is_renewed_and_nothing_is_lost() -> None:
    def answer(world: World, readings: list[dict]) -> Answer:
        revoked = world.now > START + 10 * SECOND and world.key == "key-1"
        return Answer(401) if revoked else world.take(readings)

    world = World(answer)
    device = pump()
    world.run(world.courier([single(device)]), 30)
    assert world.renewals == 1
    assert_all_taken_in_order(world, device)


@pytest.mark.parametrize("refusal", [Answer(403), Answer(400, rejected=1, codes={"unknown_device": 1})])
def test_one_device_that_is_refused_does_not_hold_up_the_others(refusal: Answer) -> None:
    refused, welcome = pump(index=1), pump(index=3)

    def answer(world: World, readings: list[dict]) -> Answer:
        barred = readings[0]["device"] == refused.name and world.now < START + 60 * SECOND
        return refusal if barred else world.take(readings)

    world = World(answer)
    courier = world.courier([single(refused), single(welcome)])
    world.run(courier, 59)
    assert_all_taken_in_order(world, welcome)
    assert world.renewals >= 1, "it registers the fleet again"
    world.run(courier, 30)
    assert_all_taken_in_order(world, refused)


def test_values_that_the_platform_refuses_for_good_are_counted_by_reason_and_not_sent_again() -> None:
    def answer(world: World, readings: list[dict]) -> Answer:
        world.taken += readings
        return Answer(400, rejected=4, codes={"out_of_range": 4})

    world = World(answer)
    device = pump()
    courier = world.courier([single(device)])
    world.run(courier, 20)
    assert_all_taken_in_order(world, device)
    assert courier.tally.codes == {"out_of_range": courier.tally.rejected}


def test_once_sends_one_measurement_of_each_device() -> None:
    world = World()
    devices = fleet(10, 10, seed=1)
    assert world.courier(stations(devices)).send_once()
    assert sorted(reading["device"] for reading in world.taken) == sorted(device.name for device in devices)
    broken = World(lambda world, readings: Answer(503))
    assert not broken.courier(stations(devices)).send_once()
