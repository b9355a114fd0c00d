"""Metrics of the servers themselves, asked of them at the moment of a scrape: size, connections, memory, queues."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, cast

import django
from django.conf import settings
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from iotplatform.observability.probes import Answer, database, redis_server
from iotplatform.queues import DEFAULT_QUEUE, drain_queue
from iotplatform.version import VERSION
from telemetry.compaction import backlog
from telemetry.timeseries.engine import TABLE

__all__ = ["COUNTERS", "build", "database_server", "log_server"]

#: Celery's lists in Redis stand behind this (iotplatform.celery, ``global_keyprefix``).
_QUEUE_PREFIX = "celery:"

_ACTIVITY = """
SELECT count(*) FILTER (WHERE state = 'active'), count(*) FILTER (WHERE state = 'idle'),
       count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
       count(*) FILTER (WHERE state NOT IN ('active', 'idle') AND state NOT LIKE 'idle in transaction%'),
       count(*) FILTER (WHERE wait_event_type = 'Lock'),
       coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)::float8,
       current_setting('max_connections')::int
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_COUNTED = """
SELECT xact_commit, xact_rollback, blks_hit, blks_read, deadlocks, temp_bytes
FROM pg_stat_database WHERE datname = current_database()
"""
_STATES = ("active", "idle", "idle in transaction", "other")
COUNTERS = (
    ("iot_database_commits", "Transactions of this database that were committed."),
    ("iot_database_rollbacks", "Transactions of this database that were rolled back."),
    ("iot_database_blocks_hit", "Blocks that were found in the database's own memory."),
    ("iot_database_blocks_read", "Blocks that the database had to ask the system for."),
    ("iot_database_deadlocks", "Deadlocks that the database resolved."),
    ("iot_database_temporary_bytes", "Bytes that queries wrote to disk because they had too little memory."),
)
_PARTITIONED = "SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint FROM pg_partition_tree(%s)"
_HYPERTABLE = "SELECT coalesce(hypertable_size(%s), 0)::bigint"


def database_server() -> Answer:
    """A question for the scrape. Raises where the database does not answer."""
    with database() as connection:
        shown = (*_connections(connection), *_counters(connection), *_sizes(connection), *_chunks(connection))
        return Answer(True, value=list(shown))


def _connections(connection: Any) -> Iterator[Metric]:
    *states, locked, oldest, most = connection.execute(_ACTIVITY).fetchone()
    family = GaugeMetricFamily(
        "iot_database_connections", "Connections to this database, by what they do.", labels=["state"]
    )
    for state, count in zip(_STATES, states, strict=True):
        family.add_metric([state], count)
    yield family
    yield GaugeMetricFamily("iot_database_connections_limit", "Connections that the server takes.", most)
    yield GaugeMetricFamily("iot_database_waiting_for_locks", "Connections that wait for another's lock.", locked)
    yield GaugeMetricFamily("iot_database_oldest_transaction_seconds", "Age of the oldest open transaction.", oldest)


def _counters(connection: Any) -> Iterator[Metric]:
    for (name, meaning), value in zip(COUNTERS, connection.execute(_COUNTED).fetchone(), strict=True):
        yield CounterMetricFamily(name, meaning, value)


def _sizes(connection: Any) -> Iterator[Metric]:
    def one(sql: str, *values: str) -> float:
        return float(connection.execute(sql, values).fetchone()[0])

    yield GaugeMetricFamily(
        "iot_database_bytes", "Size of the database.", one("SELECT pg_database_size(current_database())")
    )
    partitioned = one("SELECT count(*) FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'p'", TABLE)
    yield GaugeMetricFamily(
        "iot_database_readings_bytes",
        "Size of the readings with their indexes; the rest of the database is rollups, alerts and registry.",
        one(_PARTITIONED if partitioned else _HYPERTABLE, TABLE),
    )


def _chunks(connection: Any) -> Iterator[Metric]:
    with connection.cursor() as cursor:
        found = backlog(cursor, settings.PLATFORM)
    family = GaugeMetricFamily(
        "iot_readings_chunks",
        "Partitions or chunks of readings; of columnar ones landed: with columns that are not sorted, rows: with rows, due: to be "
        "sorted, for their time is over.",
        labels=["state"],
    )
    counts = {"all": found.chunks, "landed": found.landed, "rows": found.rows, "due": found.due}
    for state, count in counts.items():
        family.add_metric([state], count)
    yield family


def log_server() -> Answer:
    """A question for the scrape: memory of the log server, and what waits in Celery's queues there. Raises likewise."""
    queues = [DEFAULT_QUEUE, *(drain_queue(shard) for shard in range(settings.PLATFORM.shards))]
    with redis_server() as client:
        pipe = client.pipeline(transaction=False)
        pipe.info("memory")
        for queue in queues:
            pipe.llen(f"{_QUEUE_PREFIX}{queue}")
        memory, *lengths = cast(list[Any], pipe.execute())
    waiting = GaugeMetricFamily("iot_queue_tasks", "Orders that wait in a queue for a worker.", labels=["queue"])
    for queue, length in zip(queues, lengths, strict=True):
        waiting.add_metric([queue], length)
    return Answer(
        True,
        value=[
            waiting,
            GaugeMetricFamily("iot_log_server_bytes", "Memory that the log server uses.", memory["used_memory"]),
            GaugeMetricFamily(
                "iot_log_server_limit_bytes",
                "Memory that it may use: beyond it, it takes no reading; 0 where it has no limit of its own.",
                memory["maxmemory"],
            ),
        ],
    )


def build() -> Metric:
    """Which versions answer the scrape; always 1."""
    family = GaugeMetricFamily(
        "iot_build_info", "Always 1: versions of what runs.", labels=["version", "python", "django"]
    )
    family.add_metric([VERSION, ".".join(map(str, sys.version_info[:3])), django.__version__], 1.0)
    return family
