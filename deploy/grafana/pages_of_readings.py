"""Dashboards of the way of a reading: taken in, and stored."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard, Panel, quantiles, rate

__all__ = ["INGEST", "PIPELINE"]

_ROUTES = "sum by (le, route) (rate(iot_http_request_seconds_bucket[$__rate_interval]))"

INGEST = Dashboard(
    "iot-ingest",
    "Ingest",
    (
        Panel("Services", "1 where it answers.", (("iot_up", "{{service}}"),), kind="stat", width=6, alarm_below=1),
        Panel("Devices", "Registered.", (("max(iot_devices)", "devices"),), kind="stat", width=6),
        Panel("Series", "Device and metric.", (("max(iot_series)", "series"),), kind="stat", width=6),
        Panel(
            "Refusing at once",
            "1 while intake, or questions to the database, are refused because the service behind them is down.",
            (("max by (service) (iot_breaker_open)", "{{service}}"),),
            kind="stat",
            width=6,
            alarm_at=1,
        ),
        Panel(
            "Readings",
            "Accepted goes ahead of stored only while readings wait in the log.",
            (
                (rate("iot_readings_accepted_total"), "accepted"),
                (rate("iot_readings_stored_total"), "stored"),
                (rate("iot_readings_duplicate_total"), "duplicate"),
                (rate("iot_readings_conflict_total"), "of them with another value"),
            ),
            "cps",
        ),
        Panel(
            "Requests of senders",
            "By the status of the answer; 503 means that senders try again.",
            ((rate("iot_requests_total", "status"), "{{status}}"),),
            "reqps",
        ),
        Panel("Append to the log", "Shared by the requests in it.", quantiles("iot_log_append_seconds"), "s"),
        Panel(
            "Requests that share an append",
            "Few at rest; many under load, when the log server's disk sets the pace.",
            quantiles("iot_log_append_requests"),
        ),
        Panel(
            "Refused readings",
            "By reason; the quarantine tells the devices.",
            ((rate("iot_readings_rejected_total", "code"), "{{code}}"),),
            "cps",
        ),
        Panel(
            "Quarantine",
            "Waiting for replay or discard, all rows, and what was not kept within the hour.",
            (
                ("max(iot_quarantine_waiting)", "waiting"),
                ("max(iot_quarantine_rows)", "rows"),
                ("sum(increase(iot_quarantine_dropped_total[1h]))", "not kept"),
            ),
        ),
        Panel(
            "Answers over HTTP, 99th percentile",
            "By route.",
            ((f"histogram_quantile(0.99, {_ROUTES})", "{{route}}"),),
            "s",
            width=24,
        ),
    ),
)

PIPELINE = Dashboard(
    "iot-pipeline",
    "Pipeline",
    (
        Panel(
            "Oldest waiting reading",
            "Above a minute nobody drains, or too slowly.",
            (("max(iot_log_oldest_seconds)", "oldest"),),
            "s",
            "stat",
            8,
            alarm_at=60,
        ),
        Panel(
            "Memory of the log server",
            "Of what it may use; where it has no limit of its own, nothing is shown beside it.",
            (("max(iot_log_server_bytes)", "used"), ("max(iot_log_server_limit_bytes)", "limit")),
            "bytes",
            "stat",
            8,
        ),
        Panel(
            "Set aside, last day",
            "Entries that failed alone again and again; the quarantine has them as poison.",
            (("sum(increase(iot_poison_entries_total[24h]))", "entries"),),
            kind="stat",
            width=8,
            alarm_at=1,
        ),
        Panel(
            "From arrival to commit",
            "Of a sample of log entries.",
            quantiles("iot_ingest_latency_seconds"),
            "s",
            alarm_at=1,
        ),
        Panel("One drain", "From reading the log to its commit.", quantiles("iot_drain_seconds"), "s"),
        Panel("Readings in one drain", "Many where much waits.", quantiles("iot_drain_readings")),
        Panel(
            "Waiting to be stored",
            "By shard; at LOG_MAX_BYTES intake answers 503.",
            (("max by (shard) (iot_log_bytes)", "shard {{shard}}"),),
            "bytes",
            alarm_at=268_435_456,
        ),
        Panel(
            "Trouble with storing",
            "Drains that are repeated, by the failure; logs that were lost; shards that changed hands.",
            (
                (rate("iot_drain_errors_total", "kind"), "{{kind}}"),
                ("sum(increase(iot_log_lost_total[$__rate_interval]))", "log lost"),
                ("sum(increase(iot_shard_takeovers_total[$__rate_interval]))", "taken over"),
            ),
        ),
        Panel(
            "Put into quarantine",
            "Refused at intake or when they were to be stored, by reason.",
            ((rate("iot_readings_quarantined_total", "code"), "{{code}}"),),
            "cps",
        ),
        Panel(
            "Rollups behind",
            "Above five minutes answers are slower, and right all the same.",
            (("max(iot_rollup_lag_seconds)", "event time"), ("max(iot_rollup_late_seconds)", "late readings")),
            "s",
            alarm_at=300,
        ),
        Panel(
            "Rollups made",
            "Buckets, by level; made again after late readings.",
            ((rate("iot_rollup_buckets_total", "level"), "{{level}}"),),
            "cps",
        ),
    ),
)
