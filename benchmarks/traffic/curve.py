"""`python -m benchmarks.traffic --curve`: throughput and time to the answer over readings per request.

For each size of request, three times: into an empty table as fast as requests are answered (10 connections, 64 for small
requests), from which come the rates; then again at half that rate, each request at its set time, from which come the times to
the answer as a fleet sees them that does not drive the platform to its limit. Every accepted reading must be stored: one
that is not makes the run fail.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import bodies
from benchmarks.bench import CONNECTIONS, Bench, say
from benchmarks.load import sender, wrk
from benchmarks.load.requests import Load
from benchmarks.load.result import LostReading, Sent
from benchmarks.machine.description import describe
from benchmarks.machine.ground import Ground
from benchmarks.machine.platform import Platform
from benchmarks.machine.store import Store
from iotplatform.env import config

__all__ = ["CURVE_FILE", "SIZES", "Point", "run", "table"]

#: In RUN_DIR.
CURVE_FILE = "load-curve.json"

#: Readings per request → requests of a run at full speed; it takes some seconds.
SIZES = {1: 6_400, 10: 6_400, 100: 4_000, 1_000: 1_000, 10_000: 100}
_ROUNDS = 3
_SMALL, _MANY_CONNECTIONS = 10, 64
#: A run at half the rate is cut to this many seconds, but has so many requests.
_PACED_SECONDS, _LEAST_REQUESTS = 4.0, 40


@dataclass(frozen=True, slots=True)
class Point:
    """One size of request. Rates per second, times in ms; medians over the rounds."""

    size: int
    requests: float
    accepted: float
    stored: float
    full_p50: float
    full_p99: float
    half_p50: float
    half_p99: float


def run(path: Path) -> list[Point]:
    """Measure all sizes and write them as JSON. Raises LostReading where an accepted reading is not stored."""
    machine = describe() | {"load_generator": "wrk" if wrk.is_installed() else "own"}
    with Ground(config.database_url) as ground, Platform(ground) as platform, Store(ground.database) as store:
        bench = Bench(ground, platform, store)
        points = [_point(bench, size) for size in SIZES]
        said = {"machine": machine, "engine": f"{bench.engine}: {ground.database.version()}"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**said, "points": [asdict(point) for point in points]}, indent=1) + "\n")
    return points


def table(points: list[dict[str, Any]]) -> list[list[str]]:
    """Heads and rows for people."""
    rows = [
        [
            "readings a request",
            "requests/s",
            "accepted/s",
            "stored/s",
            "p50 ms",
            "p99 ms",
            "p50 ms at half",
            "p99 ms at half",
        ]
    ]
    for each in points:
        rates = [f"{each[name]:,.0f}" for name in ("size", "requests", "accepted", "stored")]
        times = [f"{each[name]:,.1f}" for name in ("full_p50", "full_p99", "half_p50", "half_p99")]
        rows.append([*rates, *times])
    return rows


def _point(bench: Bench, size: int) -> Point:
    rounds = []
    for _ in range(_ROUNDS):
        way = bench.empty_way(_load(bench, size, SIZES[size]))
        full, rate = way.sent, way.load.posts / way.sent.seconds
        half = _half(bench, size, rate / 2)
        rounds.append(
            (rate, rate * size, way.rate, full.p50_ms, full.p99_ms, half.p50_ms, half.p99_ms),
        )
    point = Point(size, *(statistics.median(figures) for figures in zip(*rounds, strict=True)))
    say(f"  {size:,} readings a request: {point.stored:,.0f} stored a second")
    return point


def _half(bench: Bench, size: int, posts_per_second: float) -> Sent:
    posts = max(_LEAST_REQUESTS, round(min(posts_per_second * _PACED_SECONDS, SIZES[size])))
    load = _load(bench, size, posts)
    bench.store.empty()
    committed = bench.store.committed()
    sent = sender.send(load, bench.platform.port, posts_per_second, processes=2).sent
    if set(sent.statuses) != {202} or sent.accepted != load.readings:
        raise LostReading(f"{load.readings} readings sent, {sent.accepted} accepted, answers {dict(sent.statuses)}")
    bench.store.wait_for(committed + load.readings)
    bench.store.must_have(load.readings)
    return sent


def _load(bench: Bench, size: int, posts: int) -> Load:
    connections = _MANY_CONNECTIONS if size <= _SMALL else CONNECTIONS
    return bench.load(bodies.one_metric, size, max(posts, connections) * size, connections)
