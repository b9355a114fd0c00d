"""Q2: a chart of one series with at most 1,000 points, over 30 days and over 1 year, out of a full store.

Every chart begins at another second, as charts that end "now" do, so none comes from the cache.
"""

from __future__ import annotations

import random
from typing import Any

from benchmarks.bench import Bench
from benchmarks.fleet import iso
from benchmarks.load.asking import Asked, ask, half_load
from benchmarks.machine.history import METRIC, YEAR_DAYS, YEARS
from benchmarks.report import Result

ID = "Q2"
WHAT = "chart of one series, 30 days (p95 ms, goal 20); 1 year is in detail (goal 30)"
GOAL_MONTH, GOAL_YEAR = 20, 30

_POINTS = 1_000
_DAY_MS = 86_400_000
_LOAD_SECONDS = 40


def measure(bench: Bench) -> Result:
    history = bench.history
    month, year = _charts(bench, 30), _charts(bench, 365)
    with half_load(bench, _LOAD_SECONDS):
        month_loaded, year_loaded = _charts(bench, 30), _charts(bench, 365)
    value = max(month.percentile(95), year.percentile(95) * GOAL_MONTH / GOAL_YEAR)
    detail = {
        "rows_stored": history.rows,
        "days_30": month.summary(),
        "days_365": year.summary(),
        "days_30_at_half_load": month_loaded.summary(),
        "days_365_at_half_load": year_loaded.summary(),
    }
    return Result(ID, WHAT, round(value, 1), GOAL_MONTH, month.percentile(95), "ms", detail, lower_is_better=True)


def _charts(bench: Bench, days: int) -> Asked:
    chance = random.Random()

    def path(number: int) -> str:
        earlier = chance.randrange((YEAR_DAYS - days - 1) * _DAY_MS) // 1000 * 1000
        end = bench.history.end - earlier
        return (
            f"/api/v1/aggregates?device={YEARS.device(number % YEARS.devices)}&metric={METRIC}&functions=avg,min,max"
            f"&start={iso(end - days * _DAY_MS)}&end={iso(end)}&points={_POINTS}&shape=columns"
        )

    def is_chart(answer: Any) -> bool:
        return answer["source"] != "raw" and days <= len(answer["series"][0]["time"]) <= _POINTS

    return ask(bench, path, is_chart)
