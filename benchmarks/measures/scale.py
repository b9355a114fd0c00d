"""SCALE: scale-out on one machine. 1, 2 and 4 web processes and drain workers, 1 to 16 shards; each layout once.

Every layout is a platform of its own with servers of its own; the one of the other measurements is stopped meanwhile. In
each: R0, then the log is filled while no drain runs (what web alone takes in), then it is drained while nothing is sent
(what the workers alone store), then the whole way, then single readings. Every reading must be stored. Those of the whole
way are looked for in the log, entry by entry: each device in one shard, each series in the order of its times; and in the
table: each series committed in that order.

Load generator, web, workers, log and database share the machine: beyond its cores more processes can bring nothing, and
what they cost is the figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from benchmarks import bodies
from benchmarks.bench import Bench, say
from benchmarks.fleet import FLEET, Fleet
from benchmarks.machine import order
from benchmarks.machine.ground import Ground
from benchmarks.machine.platform import Platform
from benchmarks.machine.store import Store
from benchmarks.report import Result
from iotplatform.env import config

ID = "SCALE"
WHAT = "whole way with 4 web, 4 workers, 16 shards ÷ with one of each"

READINGS = 500_000
#: Few enough that every web process soon knows each key: a first look asks the database.
_SINGLE = Fleet(FLEET.prefix, 128, metrics=1)
_AWAKENINGS_A_PROCESS = 4
_SINGLE_POSTS, _SINGLE_CONNECTIONS = 6_400, 64
#: Longer than a layout runs, so that the log still has what was stored.
_KEEP = {"LOG_KEEP_SECONDS": "900", "LOG_KEEP_BYTES": str(1 << 33)}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a platform is cut."""

    web: int
    workers: int
    shards: int

    def __str__(self) -> str:
        return f"{self.web} web, {self.workers} workers, {self.shards} shards"

    @property
    def settings(self) -> dict[str, str]:
        own = {"WEB_PROCESSES": self.web, "DRAIN_WORKERS": self.workers, "SHARDS": self.shards}
        return {**_KEEP, **{name: str(count) for name, count in own.items()}}


FIRST, LAST = Layout(1, 1, 1), Layout(4, 4, 16)
#: The processes are compared at 4 shards, the shards at equal processes.
LAYOUTS = (FIRST, Layout(1, 1, 4), Layout(2, 2, 4), Layout(4, 4, 4), Layout(2, 2, 16), LAST)


def measure(bench: Bench) -> Result:
    with bench.platform.paused():
        runs = [run(layout, config.database_url) for layout in LAYOUTS]
    by_layout = dict(zip(LAYOUTS, runs, strict=True))
    first, last = by_layout[FIRST], by_layout[LAST]
    value = last["share_of_r0"]["whole_way"] / first["share_of_r0"]["whole_way"]
    detail = {"layouts": runs, "readings": READINGS, "lost": 0, "twice": 0, "out_of_order": 0}
    return Result(ID, WHAT, round(value, 3), None, last["per_second"]["whole_way"], "readings/s", detail)


def run(layout: Layout, database_url: str | None) -> dict[str, Any]:
    """Rates of one layout on servers of its own. Raises LostReading where a reading was lost, or came out of order.

    ``database_url``: the server on which its database is made; None for an embedded one.
    """
    say(f"  SCALE: {layout}")
    with (
        Ground(database_url, layout.settings) as ground,
        Platform(ground) as platform,
        Store(ground.database) as store,
    ):
        own = Bench(ground, platform, store)
        rates = {"r0": own.yardstick.measure()}
        rates["intake"], rates["drain"] = _apart(own)
        rates["whole_way"] = _whole_way(own)
        rates["single"] = _single(own)
        said = {
            "web": layout.web,
            "workers": layout.workers,
            "shards": layout.shards,
            "per_second": {name: round(rate) for name, rate in rates.items()},
            "share_of_r0": {name: round(rate / rates["r0"], 4) for name, rate in rates.items()},
        }
    say(f"    {said['per_second']}")
    return said


def _apart(bench: Bench) -> tuple[float, float]:
    """Readings per second that web takes in while nothing is stored, and that are stored while nothing is sent."""
    load = bench.load(bodies.one_metric, readings=READINGS)
    bench.store.empty()
    committed = bench.store.committed()
    bench.platform.stop_drains()
    try:
        sent = bench.send(load)
        bench.store.settle()
    finally:
        bench.platform.start_drains()
    # Starting takes a second or two that are no property of a drain; see P7.
    first = bench.store.wait_for(committed + 1)
    already = bench.store.committed() - committed
    last = bench.store.wait_for(committed + load.readings)
    bench.store.must_have(load.readings)
    return load.readings / sent.seconds, (load.readings - already) / max(last - first, 0.001)


def _whole_way(bench: Bench) -> float:
    load = bench.load(bodies.one_metric, readings=READINGS)
    way = bench.empty_way(load)
    log = redis.Redis.from_url(bench.ground.environment["REDIS_URL"])
    order.check_log(log, bench.ground.config.shards, bench.store.connection, load.start_ms, load.readings)
    order.check_commits(bench.store.connection)
    return way.rate


def _single(bench: Bench) -> float:
    """Single readings per second, each with its device's key, as P2 sends them."""

    def key(connection: int, post: int) -> str:
        block = bodies.Share(_SINGLE, connection, _SINGLE_CONNECTIONS, 1, 1, 0).block(_SINGLE.series)
        return bench.access.device_keys[block[post % len(block)]]

    awakenings = _AWAKENINGS_A_PROCESS * bench.ground.config.web_processes
    for posts in (4 * _SINGLE_CONNECTIONS,) * awakenings + (_SINGLE_POSTS,):
        way = bench.way(bench.load(bodies.one_object, 1, posts, _SINGLE_CONNECTIONS, _SINGLE, key))
    return way.sent.requests / way.sent.seconds
