"""Metrics of backups, asked of the database at the moment of a scrape: it knows of all, whichever machine made them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from iotplatform.observability.probes import Answer, ask, database

__all__ = ["BackupMetrics"]

_SECONDS = 1.0
_LAST_GOOD = """
SELECT extract(epoch FROM finished_at)::float8, extract(epoch FROM finished_at - started_at)::float8, bytes
FROM iotplatform_backuprun WHERE finished_at IS NOT NULL AND error = '' ORDER BY id DESC LIMIT 1
"""
_LAST_FAILED = "SELECT error <> '' FROM iotplatform_backuprun WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT 1"


class BackupMetrics(Collector):
    """Nothing where the database does not answer."""

    def collect(self) -> Iterable[Metric]:
        yield from ask({"backups": _look}, _SECONDS)["backups"].value or []

    def describe(self) -> Iterable[Metric]:
        """Registering must not ask the database."""
        return []


def _look() -> Answer:
    with database() as connection:
        at, seconds, size = connection.execute(_LAST_GOOD).fetchone() or (0.0, 0.0, 0)
        failed = (connection.execute(_LAST_FAILED).fetchone() or (False,))[0]
    return Answer(
        True,
        value=[
            GaugeMetricFamily(name, meaning, value)
            for name, meaning, value in (
                (
                    "iot_backup_last_success_timestamp_seconds",
                    "When the last good backup ended; 0 where there is none.",
                    at,
                ),
                ("iot_backup_seconds", "How long the last good backup took.", seconds),
                ("iot_backup_bytes", "Size of the last good backup.", float(size)),
                ("iot_backup_last_failed", "1 where the last backup that was tried failed.", float(failed)),
            )
        ],
    )
