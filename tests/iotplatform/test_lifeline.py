"""Drains of shards that no message asks for."""

from __future__ import annotations

import threading

import pytest

from iotplatform.lifeline import Lifeline

_PATIENCE = 10.0


class Clock:
    """Monotonic seconds, set by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def drained() -> list[int]:
    return []


@pytest.fixture
def lifeline(clock: Clock, drained: list[int]) -> Lifeline:
    def drain(shard: int) -> bool:
        drained.append(shard)
        return False

    return Lifeline([0, 2], drain, _PATIENCE, 0.01, clock)


def test_while_messages_come_it_does_nothing(lifeline: Lifeline, clock: Clock, drained: list[int]) -> None:
    for _ in range(5):
        clock.now += 0.9 * _PATIENCE
        lifeline.look()
        lifeline.asked(0)
        lifeline.asked(2)
    assert drained == []


def test_a_shard_that_nobody_asks_for_is_drained_until_somebody_does(
    lifeline: Lifeline, clock: Clock, drained: list[int]
) -> None:
    clock.now += _PATIENCE
    lifeline.asked(0)
    assert lifeline.look() == 1
    clock.now += 1
    assert lifeline.look() == 1
    lifeline.asked(2)
    assert lifeline.look() == 0
    assert drained == [2, 2]


def test_as_long_as_there_is_more_it_goes_on_with_each_shard_in_turn(clock: Clock, drained: list[int]) -> None:
    def drain(shard: int) -> bool:
        drained.append(shard)
        return drained.count(shard) < 3

    lifeline = Lifeline([0, 1], drain, _PATIENCE, 0.01, clock)
    clock.now += _PATIENCE
    lifeline.look()
    assert drained == [0, 1, 0, 1, 0, 1]


def test_servers_that_are_away_are_asked_again_after_a_while_only(clock: Clock, drained: list[int]) -> None:
    def drain(shard: int) -> bool:
        drained.append(shard)
        raise ConnectionError("away")

    lifeline = Lifeline([0, 1], drain, _PATIENCE, 0.01, clock)
    clock.now += _PATIENCE
    for _ in range(20):
        lifeline.look()
    assert drained == [0]
    clock.now += _PATIENCE / 2
    lifeline.look()
    assert drained == [0, 0]


def test_it_looks_by_itself_until_it_is_stopped() -> None:
    drained = threading.Event()

    def drain(shard: int) -> bool:
        drained.set()
        return True

    lifeline = Lifeline([0], drain, patience=0.0, interval=0.01)
    lifeline.start()
    assert drained.wait(10)
    lifeline.stop()
    assert not lifeline._thread.is_alive()
