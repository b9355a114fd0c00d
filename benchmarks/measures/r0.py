"""R0 by itself: the yardstick in rows per second. See benchmarks/r0.py."""

from __future__ import annotations

import statistics

from benchmarks.bench import SHORT_ROUNDS, Bench, in_turn
from benchmarks.r0 import CONNECTIONS, ROWS
from benchmarks.report import Result

ID = "R0"
WHAT = "yardstick: COPY BINARY, 2 connections, 10,000 rows a statement"


def measure(bench: Bench) -> Result:
    (rates,) = in_turn(SHORT_ROUNDS, bench.yardstick.measure)
    rate = round(statistics.median(rates))
    detail = {"rounds": [round(each) for each in rates], "rows": ROWS, "connections": CONNECTIONS}
    return Result(ID, WHAT, rate, None, rate, "rows/s", detail)
