"""How many times the usual Django way (benchmarks/baselines/naive) P1 is, at 1,000 readings a request.

The naive project runs on the same servers with as many processes, and gets the same readings in its own, flatter JSON.
Its clock runs from the first POST to the last row stored, too. `tuned` in the detail is the same project after somebody
took out the two queries that DRF makes for every reading.
"""

from __future__ import annotations

import statistics
import time

import psycopg

from benchmarks import bodies
from benchmarks.baselines.naive.form import flat
from benchmarks.baselines.servers import Naive, naive_project
from benchmarks.bench import CONNECTIONS, ROUNDS, Bench, in_turn, ratio
from benchmarks.fleet import FLEET
from benchmarks.load import requests
from benchmarks.load.result import LostReading
from benchmarks.report import Result

ID = "naive"
WHAT = "P1 ÷ the usual Django way"
GOAL = 30.0

POSTS = {"readings": 2 * CONNECTIONS, "tuned": 10 * CONNECTIONS}
_SIZE = 1_000
_DEADLINE_SECONDS = 120


def measure(bench: Bench) -> Result:
    with naive_project(bench.ground, FLEET) as naive:
        _stored_per_second(bench, naive, "tuned")  # wakes its processes

        def whole_way() -> float:
            return bench.empty_way(bench.load(bodies.one_metric)).rate

        ours, usual, tuned = in_turn(
            ROUNDS,
            whole_way,
            lambda: _stored_per_second(bench, naive, "readings"),
            lambda: _stored_per_second(bench, naive, "tuned"),
        )
    detail = {
        "rounds": [round(rate) for rate in ours],
        "naive_rounds": [round(rate) for rate in usual],
        "tuned_rounds": [round(rate) for rate in tuned],
        "times_tuned": round(ratio(ours, tuned), 1),
    }
    return Result(ID, WHAT, round(ratio(ours, usual), 1), GOAL, round(statistics.median(usual)), "readings/s", detail)


def _stored_per_second(bench: Bench, naive: Naive, path: str) -> float:
    """Readings per second of the naive project, first POST to last row."""
    readings = POSTS[path] * _SIZE
    start = bench.clock.take(readings // FLEET.series + 1)
    share = bodies.Share(FLEET, 0, CONNECTIONS, _SIZE, POSTS[path] // CONNECTIONS, start)
    load = requests.build(bench.ground.directory("naive"), flat, share, naive.token, path=f"/{path}")
    with psycopg.connect(naive.database.url, autocommit=True) as connection:
        before = _rows(connection)
        sent = bench.send(load, port=naive.port)
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while (stored := _rows(connection) - before) < readings:
            if time.monotonic() > deadline:
                raise LostReading(f"the naive project stored {stored} of {readings} readings")
            time.sleep(0.05)
        return readings / (time.monotonic() - sent.began)


def _rows(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM naive_reading").fetchone()
    assert row is not None
    return int(row[0])
