"""What telemetry measures about itself. Every metric is declared once, here, with its meaning.

Used from hot code as ``measures.readings_accepted.inc(n)``. Counted are single values (device, metric, time, value)
unless a name says otherwise. `iotplatform.observability.metrics` shows them to Prometheus; what is better asked of the
servers at that moment (length of the log, age of its oldest entry) is declared there.

A gauge here is the sum or the maximum over the living processes; a counter is the sum over all, dead ones included.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "append_requests",
    "append_seconds",
    "audit_left_out",
    "breaker_open",
    "columnar_fallbacks",
    "compaction_seconds",
    "compactions",
    "counted_by",
    "drain_errors",
    "drain_readings",
    "drain_seconds",
    "exports_done",
    "exports_failed",
    "ingest_latency_seconds",
    "intake_requests",
    "intake_waiting",
    "log_lost",
    "partitions_made",
    "poison_entries",
    "quarantine_dropped",
    "readings_accepted",
    "readings_conflict",
    "readings_duplicate",
    "readings_landed",
    "readings_quarantined",
    "readings_rejected",
    "readings_stored",
    "readings_unjudged",
    "receipts_replayed",
    "rollup_buckets",
    "rollup_refresh_seconds",
    "series_created",
    "shard_takeovers",
    "store_fallbacks",
]

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COUNTS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)

#: Why a reading is refused, at intake or when it is stored.
_REFUSALS = (
    *("malformed", "unknown_device", "forbidden_device", "device_disabled", "unknown_metric", "too_many_metrics"),
    *("invalid_time", "too_far_in_future", "too_old", "invalid_value", "out_of_range", "not_finite"),
)


def counted_by(name: str, meaning: str, label: str, known: Iterable[str]) -> Counter:
    """A counter with one label whose ``known`` values are shown from the start, as 0.

    Prometheus sees no growth in a series that begins with 1: the first failure of its kind would raise no alert. Other
    values of the label may come.
    """
    counter = Counter(name, meaning, [label])
    for value in known:
        counter.labels(value)
    return counter


# --- intake ------------------------------------------------------------------------------------

intake_requests = counted_by(
    "iot_requests",
    "Requests to send readings, by the status of the answer.",
    *("status", ("200", "202", "400", "401", "403", "413", "429", "503")),
)
readings_accepted = Counter("iot_readings_accepted", "Readings answered with 202: they are in the log.")
readings_rejected = counted_by("iot_readings_rejected", "Readings refused at intake, by reason.", "code", _REFUSALS)
receipts_replayed = Counter(
    "iot_receipts_replayed", "Requests answered with the receipt of an earlier one: same Idempotency-Key."
)
intake_waiting = Gauge(
    "iot_intake_waiting", "Requests held open by ?wait= until they are stored.", multiprocess_mode="livesum"
)
breaker_open = Gauge(
    "iot_breaker_open",
    "1 while a process refuses requests at once because this service (log) is down.",
    ["service"],
    multiprocess_mode="livemax",
)
for _service in ("log", "database"):
    breaker_open.labels(_service)
append_seconds = Histogram(
    "iot_log_append_seconds", "Time of one append to the log, shared by the requests in it.", buckets=_FAST
)
append_requests = Histogram("iot_log_append_requests", "Requests that shared one append to the log.", buckets=_COUNTS)
series_created = Counter("iot_series_created", "Series (device and metric) that intake made on first sight.")

# --- quarantine --------------------------------------------------------------------------------

readings_quarantined = counted_by(
    "iot_readings_quarantined",
    "Readings put into quarantine, by reason; those of set-aside log entries included.",
    *("code", _REFUSALS),
)
quarantine_dropped = Counter(
    "iot_quarantine_dropped", "Refused readings that were not kept: quarantine full, or the device over its rate."
)

# --- drain and store ---------------------------------------------------------------------------

readings_stored = Counter("iot_readings_stored", "Readings committed to the database, each counted once.")
readings_duplicate = Counter(
    "iot_readings_duplicate", "Readings that were stored already (same series and time); the first value stays."
)
readings_conflict = Counter("iot_readings_conflict", "Duplicates whose value differs from the stored one.")
readings_unjudged = Counter(
    "iot_readings_unjudged",
    "Readings stored without being judged against thresholds, because judging failed for too long.",
)
drain_seconds = Histogram("iot_drain_seconds", "Time of one drain, from reading the log to its commit.", buckets=_FAST)
drain_readings = Histogram("iot_drain_readings", "Readings in one drain.", buckets=_COUNTS)
ingest_latency_seconds = Histogram(
    "iot_ingest_latency_seconds",
    "From the arrival of a request to the commit of its readings; of a sample of log entries.",
    buckets=_FAST,
)
drain_errors = counted_by(
    "iot_drain_errors",
    "Drains that failed and are repeated, by kind of failure: data, judge, or the name of the exception.",
    *("kind", ("data", "judge", "OperationalError", "LockNotAvailable", "ConnectionError", "TimeoutError")),
)
poison_entries = Counter("iot_poison_entries", "Log entries set aside because they failed alone again and again.")
log_lost = Counter(
    "iot_log_lost",
    "Times a shard's log was found destroyed or older than what was stored of it: receipts may say lost.",
)
shard_takeovers = Counter("iot_shard_takeovers", "Times a process found that another one had drained its shard.")
store_fallbacks = Counter(
    "iot_store_fallbacks", "Batches stored through the staging table because plain COPY met a duplicate."
)
readings_landed = counted_by(
    "iot_readings_landed",
    "Readings by how they were written: straight into compressed columns, or as rows.",
    "layout",
    ("columns", "rows"),
)
columnar_fallbacks = Counter(
    "iot_columnar_fallbacks", "Batches that should have been written into columns and that the server wrote as rows."
)
compactions = counted_by(
    "iot_compactions",
    "Columnar chunks sorted after they were written, by outcome: done; gave_way to a drain and held by a long query, which are "
    "tried again; gone with the retention; failed.",
    *("outcome", ("done", "gave_way", "held", "gone", "failed")),
)
compaction_seconds = Histogram(
    "iot_compaction_seconds",
    "Time of sorting one columnar chunk to its end.",
    buckets=(0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0),
)
partitions_made = Counter("iot_partitions_made", "Partitions or chunks made, ahead of time or on demand.")

# --- rollups -----------------------------------------------------------------------------------

rollup_buckets = counted_by(
    "iot_rollup_buckets", "Buckets of rollups made or made again, by level.", "level", ("minute", "hour", "day")
)
rollup_refresh_seconds = Histogram(
    "iot_rollup_refresh_seconds",
    "Time of one refresh of the rollups.",
    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0),
)

# --- access ------------------------------------------------------------------------------------

audit_left_out = Counter(
    "iot_audit_left_out",
    "Failed logins and refusals that the audit trail does not list: it has one like them that minute.",
)

# --- exports -----------------------------------------------------------------------------------

exports_done = Counter("iot_exports_done", "Files that scheduled exports and people asked for, made and put in place.")
exports_failed = counted_by(
    "iot_exports_failed",
    "Attempts at an export that failed: outcome retried or given_up; the history of the export says why.",
    *("outcome", ("retried", "given_up")),
)
