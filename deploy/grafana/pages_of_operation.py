"""Dashboards of what runs: alerts and notifications, the database, the processes."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard, Panel, quantiles, rate

__all__ = ["ALERTS", "DATABASE", "WORKERS"]

ALERTS = Dashboard(
    "iot-alerts",
    "Alerts and notifications",
    (
        Panel(
            "Alerts about the platform",
            "What Prometheus itself has raised.",
            (('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),),
            kind="stat",
            width=8,
            alarm_at=1,
        ),
        Panel(
            "Messages given up, last day",
            "People were not told: Alerting → Channels says which and why.",
            (("sum(increase(iot_messages_given_up_total[24h]))", "given up"),),
            kind="stat",
            width=8,
            alarm_at=1,
        ),
        Panel(
            "Readings not judged, last day",
            "Stored without being held against the thresholds.",
            (("sum(increase(iot_readings_unjudged_total[24h]))", "not judged"),),
            kind="stat",
            width=8,
            alarm_at=1,
        ),
        Panel(
            "Changes of alerts",
            "That routing has looked at.",
            ((rate("iot_alert_events_routed_total"), "changes"),),
            "cps",
        ),
        Panel(
            "Alerts that were not told",
            "By reason: import, late, silence, gateway, route.",
            ((rate("iot_alerts_suppressed_total", "reason"), "{{reason}}"),),
            "cps",
        ),
        Panel(
            "Messages sent",
            "By kind of channel.",
            ((rate("iot_messages_sent_total", "channel"), "{{channel}}"),),
            "cps",
        ),
        Panel(
            "Attempts that failed",
            "Those that are repeated included.",
            ((rate("iot_send_failures_total", "channel"), "{{channel}}"),),
            "cps",
        ),
        Panel("One attempt to send", "Until the receiver answered.", quantiles("iot_deliver_seconds"), "s"),
        Panel(
            "Exports",
            "Files made, and attempts that failed.",
            (
                (rate("iot_exports_done_total"), "made"),
                (rate("iot_exports_failed_total", "outcome"), "{{outcome}}"),
            ),
            "cps",
        ),
    ),
)


DATABASE = Dashboard(
    "iot-database",
    "Database",
    (
        Panel(
            "Size",
            "Of the whole database, and of the readings in it with their indexes.",
            (("max(iot_database_bytes)", "all"), ("max(iot_database_readings_bytes)", "readings")),
            "bytes",
            "stat",
            8,
        ),
        Panel(
            "Connections in use",
            "Of max_connections.",
            (("sum(max by (state) (iot_database_connections)) / max(iot_database_connections_limit)", "in use"),),
            "percentunit",
            "stat",
            4,
            alarm_at=0.8,
        ),
        Panel(
            "Oldest transaction",
            "What was deleted since cannot be cleared away; a backup may be the reason.",
            (("max(iot_database_oldest_transaction_seconds)", "open for"),),
            "s",
            "stat",
            4,
            alarm_at=3600,
        ),
        Panel(
            "Last good backup",
            "Its age; since 1970 where there is none.",
            (("time() - max(iot_backup_last_success_timestamp_seconds)", "age"),),
            "s",
            "stat",
            4,
            alarm_at=172_800,
        ),
        Panel(
            "Size of it",
            "And whether the last one that was tried failed.",
            (("max(iot_backup_bytes)", "bytes"), ("max(iot_backup_last_failed)", "failed")),
            "bytes",
            "stat",
            4,
        ),
        Panel(
            "Growth",
            "Readings go away with their retention, rollups and alerts stay longer.",
            (
                ("max(iot_database_readings_bytes)", "readings"),
                ("max(iot_database_bytes) - max(iot_database_readings_bytes)", "the rest"),
            ),
            "bytes",
        ),
        Panel(
            "Connections",
            "By what they do; those that wait for another's lock are among the active.",
            (
                ("max by (state) (iot_database_connections)", "{{state}}"),
                ("max(iot_database_waiting_for_locks)", "waiting for a lock"),
            ),
        ),
        Panel(
            "Transactions",
            "Committed and rolled back.",
            ((rate("iot_database_commits_total"), "committed"), (rate("iot_database_rollbacks_total"), "rolled back")),
            "cps",
        ),
        Panel(
            "Found in memory",
            "The share of blocks that the database had already; below 0.9 for long, it has too little of it.",
            (
                (
                    f"{rate('iot_database_blocks_hit_total')} / "
                    f"({rate('iot_database_blocks_hit_total')} + {rate('iot_database_blocks_read_total')})",
                    "share",
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Trouble",
            "Deadlocks, batches that met a duplicate, partitions that were made.",
            (
                ("sum(increase(iot_database_deadlocks_total[$__rate_interval]))", "deadlocks"),
                ("sum(increase(iot_store_fallbacks_total[$__rate_interval]))", "through the staging table"),
                ("sum(increase(iot_partitions_made_total[$__rate_interval]))", "partitions"),
            ),
        ),
        Panel(
            "How readings are written",
            "TimescaleDB from 2.28.1 on: straight into compressed columns, or as rows.",
            (("sum by (layout) (rate(iot_readings_landed_total[$__rate_interval]))", "{{layout}}"),),
            "cps",
        ),
        Panel(
            "Chunks",
            "How many there are, and how many are to be sorted.",
            (("max by (state) (iot_readings_chunks)", "{{state}}"),),
        ),
        Panel(
            "Attempts at sorting chunks",
            "Those that gave way to drains or were held by queries are made again.",
            (("sum by (outcome) (increase(iot_compactions_total[$__rate_interval]))", "{{outcome}}"),),
        ),
        Panel(
            "Written for want of memory",
            "Sorts and joins of large questions.",
            ((rate("iot_database_temporary_bytes_total"), "temporary files"),),
            "Bps",
        ),
    ),
)

WORKERS = Dashboard(
    "iot-workers",
    "Workers and processes",
    (
        Panel(
            "Beat",
            "Since it last looked at its schedule.",
            (("time() - max(iot_beat_last_tick_timestamp_seconds)", "ago"),),
            "s",
            "stat",
            6,
            alarm_at=60,
        ),
        Panel(
            "Processes",
            "That live, by name.",
            (("sum by (process) (iot_processes)", "{{process}}"),),
            kind="stat",
            width=12,
        ),
        Panel(
            "Version",
            "Of the platform that answers.",
            (("max by (version) (iot_build_info)", "{{version}}"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Memory",
            "By process name; pages that several share count in each.",
            (("sum by (process) (iot_process_resident_bytes)", "{{process}}"),),
            "bytes",
        ),
        Panel(
            "Processor time",
            "1 is one core.",
            ((rate("iot_process_cpu_seconds_total", "process"), "{{process}}"),),
        ),
        Panel(
            "Since the youngest started",
            "Falls to 0 when a process is made anew.",
            (("time() - max by (process) (iot_process_start_time_seconds)", "{{process}}"),),
            "s",
        ),
        Panel(
            "Waiting in queues",
            "Orders for workers; drains and what beat sends. More than a few for long: workers are too busy.",
            (("max by (queue) (iot_queue_tasks)", "{{queue}}"),),
        ),
        Panel(
            "Tasks",
            "By name.",
            ((rate("iot_task_seconds_count", "task"), "{{task}}"),),
            "cps",
        ),
        Panel(
            "Busy with",
            "Seconds of work in a second, by task.",
            ((rate("iot_task_seconds_sum", "task"), "{{task}}"),),
        ),
        Panel(
            "Tasks that failed, or came too late",
            "An order that waited longer than its interval is dropped: the next one does it.",
            (
                (rate("iot_task_failures_total", "task"), "{{task}} failed"),
                (rate("iot_tasks_expired_total", "task"), "{{task}} dropped"),
            ),
            "cps",
        ),
        Panel(
            "One run of a task, 99th percentile",
            "By name.",
            (
                (
                    "histogram_quantile(0.99, sum by (le, task) (rate(iot_task_seconds_bucket[$__rate_interval])))",
                    "{{task}}",
                ),
            ),
            "s",
        ),
    ),
)
