"""P4e, the evaluator alone: chunks of 50,000 readings of 10,000 series, judged by 1,000 thresholds over all of them.

No log, no database, no alerts written: arrays go in, changes come out, on one core. The headline has 0.1 % of the
readings breaching; beside it a storm, in which every series breaches for the first time in one chunk, and what follows
while all of its alerts stay open.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.bench import ROUNDS, Bench
from benchmarks.report import Result
from thresholds.compiled import Compiled, Place
from thresholds.evaluate import evaluate
from thresholds.machine import Setting
from thresholds.order import NEVER, Arrivals
from thresholds.rule import LevelRule, Rule
from thresholds.states import States

ID = "P4e"
WHAT = "the evaluator alone, 1,000 thresholds"
GOAL = 2_000_000.0

SERIES, THRESHOLDS, CHUNK, CHUNKS = 10_000, 1_000, 50_000, 40
_METRICS = 10
_START = 1_795_000_000_000_000
_SECOND = 1_000_000
Values = Callable[[np.random.Generator], np.ndarray]


def measure(bench: Bench) -> Result:
    compiled = _compiled()
    rates = [_rate(compiled, _some, CHUNKS) for _ in range(ROUNDS)]
    detail = {
        "rounds": [round(rate) for rate in rates],
        "storm_first_chunk": round(_rate(compiled, _all, 1)),
        "storm_goes_on": round(_rate(compiled, _all, CHUNKS, skip=1)),
        "thresholds": THRESHOLDS,
        "series": SERIES,
        "readings_a_chunk": CHUNK,
    }
    rate = statistics.median(rates)
    return Result(ID, WHAT, round(rate), GOAL, round(rate), "readings/s on one core", detail)


def _compiled() -> Compiled:
    """Each threshold covers a group of devices and one metric; each series has one."""
    rules = [
        Rule(
            number + 1,
            f"m{number % _METRICS}",
            "above",
            (LevelRule(2, 80.0, None, 75.0), LevelRule(4, 90.0)),
            group_id=number // _METRICS,
        )
        for number in range(THRESHOLDS)
    ]
    groups = THRESHOLDS // _METRICS
    places = [
        Place(number, number // _METRICS, f"m{number % _METRICS}", None, (number // _METRICS % groups,), 1.0)
        for number in range(SERIES)
    ]
    compiled = Compiled(rules)
    compiled.add(np.arange(SERIES, dtype=np.int32), places)
    return compiled


def _some(random: np.random.Generator) -> np.ndarray:
    return np.where(random.random(CHUNK) < 0.001, 95.0, np.minimum(random.normal(50, 5, CHUNK), 79.0))


def _all(random: np.random.Generator) -> np.ndarray:
    return random.uniform(91, 99, CHUNK)


def _rate(compiled: Compiled, values: Values, chunks: int, skip: int = 0) -> float:
    """Readings a second. The first ``skip`` chunks are not counted."""
    random, states = np.random.default_rng(1), States()
    states.reach(SERIES)
    newest = np.full(SERIES, NEVER)
    seconds = 0.0
    each = CHUNK // SERIES
    for number in range(chunks):
        series = np.tile(np.arange(SERIES, dtype=np.int32), each)
        times = _START + (number * each + np.repeat(np.arange(each), SERIES)) * _SECOND
        arrivals = Arrivals(
            series, times, values(random), lambda asked: newest[asked], lambda asked, at: np.zeros(len(at))
        )
        began = time.perf_counter()
        found = evaluate(arrivals, compiled, states, Setting(int(times[-1])))
        states.change(found.states)
        seconds += time.perf_counter() - began if number >= skip else 0.0
        newest[:] = times[-1]
    return (chunks - skip) * CHUNK / seconds
