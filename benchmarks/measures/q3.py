"""Q3: 24 hours of a group of 1,000 devices as one line (hourly avg, min, max), and hourly p95 of 20 devices one by one.

Every question begins at another minute, so none comes from the cache.
"""

from __future__ import annotations

import random
from typing import Any

from benchmarks.bench import Bench
from benchmarks.fleet import iso
from benchmarks.load.asking import Asked, ask, half_load
from benchmarks.machine.history import CROWD, CROWD_DAYS, CROWD_GROUP, METRIC
from benchmarks.report import Result

ID = "Q3"
WHAT = "24 h of 1,000 devices as one line, hourly p95 of 20 devices (the slower, p95 ms)"
GOAL = 150

_DAY_MS, _MINUTE_MS = 86_400_000, 60_000
_DEVICES = 20
_LOAD_SECONDS = 40


def measure(bench: Bench) -> Result:
    history = bench.history
    group, single = _group(bench), _single(bench)
    with half_load(bench, _LOAD_SECONDS):
        group_loaded, single_loaded = _group(bench), _single(bench)
    value = max(group.percentile(95), single.percentile(95))
    detail = {
        "rows_stored": history.rows,
        "group_as_one_line": group.summary(),
        "p95_of_20_devices": single.summary(),
        "group_as_one_line_at_half_load": group_loaded.summary(),
        "p95_of_20_devices_at_half_load": single_loaded.summary(),
    }
    return Result(ID, WHAT, value, GOAL, value, "ms", detail, lower_is_better=True)


def _day(bench: Bench, chance: random.Random) -> str:
    earlier = chance.randrange(int((CROWD_DAYS - 1.05) * _DAY_MS)) // _MINUTE_MS * _MINUTE_MS
    end = bench.history.end - earlier
    return f"start={iso(end - _DAY_MS)}&end={iso(end)}"


def _group(bench: Bench) -> Asked:
    chance = random.Random()

    def path(number: int) -> str:
        return f"/api/v1/aggregates?group={CROWD_GROUP}&metric={METRIC}&bucket=1h&functions=avg,min,max&{_day(bench, chance)}"

    return ask(bench, path, lambda answer: len(answer["results"]) in (24, 25))


def _single(bench: Bench) -> Asked:
    chance = random.Random()

    def path(number: int) -> str:
        devices = "&".join(f"device={CROWD.device(each)}" for each in chance.sample(range(CROWD.devices), _DEVICES))
        return f"/api/v1/aggregates?{devices}&metric={METRIC}&bucket=1h&functions=p95&{_day(bench, chance)}"

    def is_whole(answer: Any) -> bool:
        return len(answer["results"]) in (24 * _DEVICES, 25 * _DEVICES)

    return ask(bench, path, is_whole)
