"""The last hour of the platform: a sample every few seconds, kept in the cache by beat, so that pages can draw it.

A sample holds counts since the beginning; rates and latencies are told from the difference of two. It may be lost with
the cache: then the hour begins anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import redis
from django.conf import settings
from django.db import connection
from prometheus_client import REGISTRY

from iotplatform.observability.metric_files import SharedMetrics
from telemetry.log.depth import depths

__all__ = ["SAMPLE_SECONDS", "Minute", "Sample", "look", "minutes", "note", "rate", "recent"]

SAMPLE_SECONDS = 5
_KEY = "iot:dashboard:history"
_HOUR = 3600
_SAMPLES = _HOUR // SAMPLE_SECONDS + 2
_LATENCY = "iot_ingest_latency_seconds"
_REFUSED = "iot_readings_quarantined_total"
_POSITIONS = "SELECT shard, stored, stored_offset, stored_readings FROM telemetry_shardposition ORDER BY shard"


class Sample(NamedTuple):
    """One look at the platform."""

    #: Seconds since 1970.
    at: float
    #: Readings stored since the platform was installed; refused ones since its metrics began.
    stored: int
    refused: int
    #: Of the log: bytes that wait to be stored, and the age of the oldest of them in seconds.
    waiting: int
    oldest: float
    #: Of latency from arrival to commit: (upper bound in seconds, count up to it) since the metrics began.
    latency: list[list[float]]


class Minute(NamedTuple):
    """What one minute was like; None where nothing is known."""

    at: float
    rate: float | None
    #: 50th and 99th percentile in milliseconds.
    typical: float | None
    slowest: float | None


def note() -> None:
    """Keep a sample; run by beat."""
    with _cache() as client:
        pipe = client.pipeline(transaction=False)
        pipe.lpush(_KEY, json.dumps(look(latency=True)))
        pipe.ltrim(_KEY, 0, _SAMPLES - 1)
        pipe.expire(_KEY, 2 * _HOUR)
        pipe.execute()


def look(*, latency: bool = False) -> Sample:
    """The platform as it is now; raises redis.RedisError or DatabaseError where one of the two does not answer."""
    with connection.cursor() as cursor:
        cursor.execute(_POSITIONS)
        rows = cursor.fetchall()
    with redis.Redis.from_url(settings.SERVERS["redis_url"], **_timeouts()) as log:
        found = depths(log, {shard: (stored, offset) for shard, stored, offset, _ in rows})
    refused, buckets = _counted() if latency else (0, [])
    return Sample(
        at=time.time(),
        stored=sum(row[3] for row in rows),
        refused=refused,
        waiting=sum(depth.waiting_bytes for depth in found.values()),
        oldest=max((depth.oldest_seconds for depth in found.values()), default=0.0),
        latency=buckets,
    )


def recent() -> list[Sample]:
    """Of the last hour, oldest first; empty where the cache is down, for a page without it is worth more than none."""
    try:
        with _cache() as client:
            kept: Any = client.lrange(_KEY, 0, -1)
    except redis.RedisError:
        return []
    since = time.time() - _HOUR
    samples = [Sample(*json.loads(each)) for each in reversed(kept)]
    return [sample for sample in samples if sample.at >= since]


def rate(earlier: Sample, later: Sample) -> float | None:
    """Readings a second between two samples; None where the counts began anew in between."""
    if later.at <= earlier.at or later.stored < earlier.stored:
        return None
    return (later.stored - earlier.stored) / (later.at - earlier.at)


def minutes(samples: Sequence[Sample], now: float) -> list[Minute]:
    """The hour before `now` in 60 steps."""
    found = []
    for place in range(60, 0, -1):
        start = now - 60 * place
        inside = [sample for sample in samples if start - SAMPLE_SECONDS <= sample.at < start + 60]
        if len(inside) < 2:
            found.append(Minute(start, None, None, None))
            continue
        first, last = inside[0], inside[-1]
        passed = _passed(first.latency, last.latency)
        found.append(Minute(start, rate(first, last), _quantile(passed, 0.5), _quantile(passed, 0.99)))
    return found


def _passed(earlier: list[list[float]], later: list[list[float]]) -> list[tuple[float, float]]:
    """Counts up to each bound, of what came between the two."""
    before = {bound: count for bound, count in earlier}  # noqa: C416 - pairs of a list, not tuples
    return [(bound, max(0.0, count - before.get(bound, 0.0))) for bound, count in later]


def _quantile(passed: Sequence[tuple[float, float]], share: float) -> float | None:
    """Milliseconds; within a bucket as if all were spread evenly, as Prometheus' histogram_quantile has it."""
    if not passed or passed[-1][1] <= 0:
        return None
    rank, low, below = share * passed[-1][1], 0.0, 0.0
    for bound, count in passed:
        if count >= rank:
            if bound == float("inf"):
                return 1000 * low
            return 1000 * (low + (bound - low) * (rank - below) / ((count - below) or 1))
        low, below = bound, count
    return 1000 * low


def _counted() -> tuple[int, list[list[float]]]:
    """Refused readings, and the buckets of latency, over all processes."""
    folder = settings.PLATFORM.multiprocess_metrics_dir
    families: Iterable[Any] = SharedMetrics(folder).collect() if folder else REGISTRY.collect()
    refused, buckets = 0.0, []
    for family in families:
        for sample in family.samples:
            if sample.name == _REFUSED:
                refused += sample.value
            elif sample.name == f"{_LATENCY}_bucket":
                buckets.append([float(sample.labels["le"]), sample.value])
    return int(refused), sorted(buckets)


def _cache() -> redis.Redis:
    return redis.Redis.from_url(settings.SERVERS["cache_url"], **_timeouts())


def _timeouts() -> dict[str, Any]:
    seconds = settings.PLATFORM.redis_timeout_seconds
    return {"socket_timeout": seconds, "socket_connect_timeout": seconds}
