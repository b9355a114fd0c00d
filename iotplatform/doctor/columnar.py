"""Whether large drains land in compressed columns where they could, and whether sorting these keeps up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iotplatform.doctor.findings import Finding, ok, warn
from iotplatform.env import Config
from iotplatform.launcher.processes import metrics_dir
from iotplatform.observability.metric_files import SharedMetrics
from iotplatform.observability.probes import database
from telemetry.compaction import Backlog, backlog
from telemetry.timeseries.columnar import Columnar, unsound
from telemetry.timeseries.engine import engine_in_use

__all__ = ["check_columnar"]

#: More chunks that are due say that sorting does not keep up; some always are, when readings come late.
_MOST_DUE = 5
#: Locks that a query takes for each chunk it may have to look at, twice as many as counted.
_LOCKS_A_CHUNK = 8
_LANDED = "iot_readings_landed_total"


def check_columnar(config: Config) -> Iterator[Finding]:
    """Everything between the setting and what the table is."""
    with database() as connection, connection.cursor() as cursor:
        engine = engine_in_use(cursor)
        reason = unsound(cursor)
        if engine.name != "timescale":
            yield ok("columnar", "Off: TimescaleDB alone has columns, from 2.28.1 on.")
            return
        if not isinstance(engine, Columnar):
            yield _indexed(config, reason)
            return
        yield _columnar(config, reason)
        found = backlog(cursor, config)
        yield _sorting(found)
        yield from _locks(connection, found)


def _indexed(config: Config, reason: str | None) -> Finding:
    if config.timeseries_columnar == "off":
        return ok("columnar", "Off, as TIMESERIES_COLUMNAR says: readings are stored as rows with a unique index.")
    if reason is not None:
        return warn(
            "columnar",
            f"Off: {reason}",
            "Update TimescaleDB as its manual says, or set TIMESERIES_COLUMNAR=off.",
        )
    return warn(
        "columnar",
        "Off: the readings table has its unique index still, so drains write rows.",
        "`manage.py columnar on`, also while it runs; or set TIMESERIES_COLUMNAR=off.",
    )


def _columnar(config: Config, reason: str | None) -> Finding:
    if config.timeseries_columnar == "off":
        return warn(
            "columnar",
            "The readings table has no unique index, and TIMESERIES_COLUMNAR=off has drains write rows all the same.",
            "Set TIMESERIES_COLUMNAR=auto, or `manage.py columnar off`.",
        )
    if reason is not None:
        return warn(
            "columnar",
            f"The readings table has no unique index, and drains write rows all the same: {reason}",
            "See to the server; or `manage.py columnar off`.",
        )
    return ok("columnar", f"Drains of {config.columnar_min_rows:,} and more land in columns.{_share(config)}")


def _share(config: Config) -> str:
    """How much did, where the platform's metrics are on this machine."""
    folder = config.multiprocess_metrics_dir or metrics_dir(config)
    if not Path(folder).is_dir():
        return ""
    landed = {
        sample.labels["layout"]: sample.value
        for metric in SharedMetrics(folder).collect()
        for sample in metric.samples
        if sample.name == _LANDED
    }
    every = sum(landed.values())
    return f" So did {landed.get('columns', 0.0) / every:.0%} of {every:,.0f} readings." if every else ""


def _sorting(found: Backlog) -> Finding:
    text = f"{found.landed} of {found.chunks} chunks are not sorted, {found.due} of them are due"
    if found.due <= _MOST_DUE:
        return ok("compaction", f"{text}.")
    return warn(
        "compaction",
        f"{text}: they take more room, and single series are read slowly there.",
        "See that the worker runs, and wait where history was brought in; iot_compactions_total says what is in the way "
        "(gave_way: readings that are hours late).",
    )


def _locks(connection: Any, found: Backlog) -> Iterator[Finding]:
    most = connection.execute(
        "SELECT current_setting('max_locks_per_transaction')::int * "
        "(current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)"
    ).fetchone()[0]
    if found.chunks * _LOCKS_A_CHUNK > most:
        yield warn(
            "compaction",
            f"{found.chunks} chunks: questions over all of them may need more locks than the server has ({most:,}).",
            "Double max_locks_per_transaction, or set RAW_RETENTION_DAYS.",
        )
