"""P2: single readings, as small devices send them: one reading a POST over 64 connections, each with its device's key.

Compared with a bare FastAPI endpoint that checks no key, validates with pydantic and does one XADD to the same log
server (benchmarks/baselines/bare.py), with the same number of processes. Both get the same requests, in turn, after some
that only wake their processes. Requests per second run from the first request to the last answer; the platform's
readings are then waited for and counted.
"""

from __future__ import annotations

import statistics

from benchmarks import bodies
from benchmarks.baselines.servers import bare_endpoint
from benchmarks.bench import ROUNDS, Bench, ratio
from benchmarks.fleet import FLEET, Fleet
from benchmarks.load.requests import Load
from benchmarks.report import Result

ID = "P2"
WHAT = "single readings, keys checked ÷ bare FastAPI + XADD"
GOAL = 1.0

CONNECTIONS = 64
POSTS = 9_600

#: Each device sends one metric.
SMALL = Fleet(FLEET.prefix, FLEET.devices, metrics=1)

# New connections may reach another process than the last time: after a few, every process knows every key and series.
_AWAKENINGS = 5


def measure(bench: Bench) -> Result:
    bare_rates, rates, p99 = [], [], []
    for _ in range(_AWAKENINGS):
        bench.way(_load(bench, 16 * CONNECTIONS))
    for _ in range(ROUNDS):
        load = _load(bench, POSTS)
        with bare_endpoint(bench.ground) as port:
            bench.send(load, port=port)  # the first time wakes its processes
            sent = bench.send(load, port=port)
            bare_rates.append(sent.requests / sent.seconds)
        way = bench.way(load)
        rates.append(way.sent.requests / way.sent.seconds)
        p99.append(way.sent.p99_ms)
    detail = {
        "bare_rounds": [round(rate) for rate in bare_rates],
        "rounds": [round(rate) for rate in rates],
        "answer_p99_ms": statistics.median(p99),
        "connections": CONNECTIONS,
        "requests_a_round": POSTS,
    }
    value = round(ratio(rates, bare_rates), 3)
    return Result(ID, WHAT, value, GOAL, round(statistics.median(rates)), "requests/s", detail)


def _load(bench: Bench, posts: int) -> Load:
    return bench.load(bodies.one_object, 1, posts, CONNECTIONS, SMALL, lambda *at: _device_key(bench, *at))


def _device_key(bench: Bench, connection: int, post: int) -> str:
    block = bodies.Share(SMALL, connection, CONNECTIONS, 1, 1, 0).block(SMALL.series)
    return bench.access.device_keys[block[post % len(block)]]
