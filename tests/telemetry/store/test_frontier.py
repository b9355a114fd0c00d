"""The checkpoint is a lower bound and nothing more; what is in memory grows with the series."""

from __future__ import annotations

from typing import Any

import numpy as np

from telemetry.intake.batch import Batch
from telemetry.store.frontier import NEVER, Frontier


class Readings:
    """Stands for the table: the newest time by series, and which series were asked for."""

    def __init__(self, newest: dict[int, int]) -> None:
        self.newest, self.asked = newest, []

    def execute(self, _: Any, parameters: list[list[int]]) -> Readings:
        self.asked.append(parameters[0])
        self._found = [
            (s, self.newest[s]) for s, low in zip(*parameters, strict=True) if self.newest.get(s, NEVER) > low
        ]
        return self

    def fetchall(self) -> list[tuple[int, int]]:
        return self._found


def of(frontier: Frontier, readings: Any, *series: int) -> list[int]:
    return frontier.of(readings, np.array(series, np.int32)).tolist()


def test_each_series_is_confirmed_by_the_readings_once() -> None:
    readings = Readings({1: 100, 5000: 7})
    frontier = Frontier()
    assert of(frontier, readings, 1, 1, 5000, 2) == [100, 100, 7, NEVER]
    assert of(frontier, readings, 5000, 1) == [7, 100]
    assert readings.asked == [[1, 2, 5000]]


def test_a_checkpoint_behind_the_readings_is_corrected() -> None:
    before = Frontier()
    of(before, Readings({}), 1, 2)
    before.advance(Batch(np.array([1, 2], np.int32), np.array([50, 60]), np.array([1.0, 1.0])))
    frontier = Frontier()
    frontier.load(*before.checkpoint())
    assert of(frontier, Readings({1: 90, 2: 60, 3: 5}), 1, 2, 3) == [90, 60, 5]


def test_late_readings_do_not_move_it_back() -> None:
    frontier = Frontier()
    of(frontier, Readings({}), 1)
    for time in (100, 50):
        frontier.advance(Batch(np.array([1], np.int32), np.array([time]), np.array([1.0])))
    assert of(frontier, Readings({}), 1) == [100]


def test_an_empty_checkpoint_loads() -> None:
    frontier = Frontier()
    frontier.load(*Frontier().checkpoint())
    assert of(frontier, Readings({}), 1) == [NEVER]
