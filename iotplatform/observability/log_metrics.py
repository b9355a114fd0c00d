"""Metrics that are asked of the servers at the moment of a scrape. A scrape never fails and never waits long because
one of them is down: then `iot_up` of it is 0, and what only it could tell is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from iotplatform.observability.backup_metrics import backups
from iotplatform.observability.probes import Answer, Question, ask, database, redis_server
from iotplatform.observability.server_metrics import build, database_server, log_server
from telemetry.log.depth import Depth, depths
from telemetry.rollups.freshness import freshness

__all__ = ["ServerMetrics", "stored_positions"]

_SECONDS = 1.0

#: By shard: entry id and byte offset up to which the log is stored.
Positions = dict[int, tuple[str, int]]


class ServerMetrics(Collector):
    """Length and age of the log, fill of the quarantine, freshness of the rollups, and which servers answer."""

    def collect(self) -> Iterable[Metric]:
        services: dict[str, Question] = {"database": _positions, "log": _ping_log, "cache": _ping_cache}
        answers = ask({**services, **_MORE}, _SECONDS)
        up = GaugeMetricFamily("iot_up", "1 where the service answered the scrape within a second.", labels=["service"])
        for service in services:
            up.add_metric([service], float(answers[service].ok))
        yield up
        yield build()
        for name in _MORE:
            yield from answers[name].value or []
        yield from _of_log(_log_depths(answers))

    def describe(self) -> Iterable[Metric]:
        """Registering must not ask the servers."""
        return []


def stored_positions(connection: Any) -> Positions:
    """How far each shard's log is stored."""
    rows = connection.execute(
        "SELECT shard, stored, stored_offset FROM telemetry_shardposition ORDER BY shard"
    ).fetchall()
    return {shard: (stored, offset) for shard, stored, offset in rows}


def _positions() -> Answer:
    with database() as connection:
        return Answer(True, value=stored_positions(connection))


def _ping_log() -> Answer:
    with redis_server() as client:
        return Answer(bool(client.ping()))


def _ping_cache() -> Answer:
    with redis_server(settings.SERVERS["cache_url"]) as client:
        return Answer(bool(client.ping()))


def _counts() -> Answer:
    """Beside the question whether the database answers: counting much may take longer than its deadline."""
    with database() as connection:
        counts = [
            GaugeMetricFamily(name, meaning, connection.execute(sql).fetchone()[0])  # type: ignore[index]
            for name, meaning, sql in _COUNTS
        ]
    return Answer(True, value=counts)


def _rollups() -> Answer:
    with database() as connection:
        fresh = freshness(connection)
    return Answer(
        True,
        value=[
            GaugeMetricFamily(
                "iot_rollup_lag_seconds",
                "Age of the event time up to which readings are rolled up, or since when hours and days were not finished.",
                fresh.lag,
            ),
            GaugeMetricFamily(
                "iot_rollup_late_seconds",
                "How long ago the oldest late reading arrived that is not rolled up yet; 0 where there is none.",
                fresh.oldest_late or 0.0,
            ),
            GaugeMetricFamily("iot_rollup_marks", "Rows on the list of what is to be rolled up.", fresh.marks),
        ],
    )


_COUNTS = (
    (
        "iot_quarantine_waiting",
        "Refused readings that wait for replay or discard.",
        "SELECT count(*) FROM telemetry_quarantinedreading WHERE state = 'waiting'",
    ),
    (
        "iot_quarantine_rows",
        "Rows in the quarantine, settled ones included.",
        "SELECT count(*) FROM telemetry_quarantinedreading",
    ),
    ("iot_devices", "Devices that are registered.", "SELECT count(*) FROM telemetry_device"),
    ("iot_series", "Series (device and metric) that exist.", "SELECT count(*) FROM telemetry_series"),
)


#: What is asked together with whether they answer; where one is late, only its own metrics are missing.
_MORE: dict[str, Question] = {
    "counts": _counts,
    "rollups": _rollups,
    "backups": backups,
    "database-server": database_server,
    "log-server": log_server,
}


def _log_depths(answers: dict[str, Answer]) -> dict[int, Depth]:
    if not (answers["database"].ok and answers["log"].ok):
        return {}
    positions: Positions = answers["database"].value

    def look() -> Answer:
        with redis_server() as client:
            return Answer(True, value=depths(client, positions))

    question: dict[str, Question] = {"log-depth": look}
    return ask(question, _SECONDS)["log-depth"].value or {}


def _of_log(found: dict[int, Depth]) -> Iterable[Metric]:
    families = [
        ("iot_log_entries", "Entries in the shard's log, stored ones that are still kept included.", 0),
        ("iot_log_bytes", "Bytes of the shard's log that wait to be stored.", 1),
        ("iot_log_oldest_seconds", "Age of the oldest entry that waits to be stored; 0 where none does.", 2),
    ]
    for name, meaning, place in families:
        family = GaugeMetricFamily(name, meaning, labels=["shard"])
        for shard, depth in found.items():
            family.add_metric([str(shard)], depth[place])
        yield family
