"""Metrics of backups, asked of the database at the moment of a scrape: it knows of all, whichever machine made them."""

from __future__ import annotations

from prometheus_client.core import GaugeMetricFamily

from iotplatform.observability.probes import Answer, database

__all__ = ["backups"]

_LAST_GOOD = """
SELECT extract(epoch FROM finished_at)::float8, extract(epoch FROM finished_at - started_at)::float8, bytes
FROM iotplatform_backuprun WHERE finished_at IS NOT NULL AND error = '' ORDER BY id DESC LIMIT 1
"""
_LAST_FAILED = "SELECT error <> '' FROM iotplatform_backuprun WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT 1"


def backups() -> Answer:
    """A question for the scrape. Raises where the database does not answer."""
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
