"""Q1: latest values over HTTP: every metric of one device, and the first page (100 devices) of 100,000 devices."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench
from benchmarks.fleet import FLEET, Fleet
from benchmarks.load.asking import Asked, ask, half_load
from benchmarks.report import Result

ID = "Q1"
WHAT = "latest values: one device (p95 ms, goal 10); first page of 100,000 devices is in detail (goal 100)"
GOAL_ONE, GOAL_PAGE = 10, 100

_MANY = Fleet("quiet", devices=100_000, metrics=1)
_LOAD_SECONDS = 40


def measure(bench: Bench) -> Result:
    rows = bench.history.rows
    bench.platform.provision(_MANY.prefix, _MANY.devices)
    one, page = _one(bench), _page(bench)
    with half_load(bench, _LOAD_SECONDS):
        one_loaded, page_loaded = _one(bench), _page(bench)
    # The figure is that of the worse of the two goals, in the unit of the first.
    value = max(one.percentile(95), page.percentile(95) * GOAL_ONE / GOAL_PAGE)
    detail = {
        "rows_stored": rows,
        "one_device": one.summary(),
        "first_page": page.summary(),
        "one_device_at_half_load": one_loaded.summary(),
        "first_page_at_half_load": page_loaded.summary(),
    }
    return Result(ID, WHAT, round(value, 1), GOAL_ONE, one.percentile(95), "ms", detail, lower_is_better=True)


def _one(bench: Bench) -> Asked:
    def has_all(answer: Any) -> bool:
        return len(answer["metrics"]) == FLEET.metrics

    return ask(bench, lambda number: f"/api/v1/devices/{FLEET.device(number * 37 % FLEET.devices)}/latest", has_all)


def _page(bench: Bench) -> Asked:
    def is_full(answer: Any) -> bool:
        return len(answer["results"]) == 100 and len(answer["results"][0]["metrics"]) == FLEET.metrics

    return ask(bench, lambda number: "/api/v1/latest?limit=100", is_full)
