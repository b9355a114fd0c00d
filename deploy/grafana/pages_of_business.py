"""The dashboard for those who use the data: readings and alerts, asked of the database as the reader (`ensure_reader`).

Plain SQL, the same on TimescaleDB and on plain PostgreSQL. Long spans are asked of the rollups, which are small; raw readings
of one device alone, and a bounded number of them.
"""

from __future__ import annotations

from deploy.grafana.panels import Dashboard, Panel

__all__ = ["BUSINESS"]

_OF_DEVICE = (
    "JOIN telemetry_series s ON s.id = r.series_id JOIN telemetry_device d ON d.id = s.device_id\n"
    "WHERE d.name = ${device:sqlstring} AND $__timeFilter(r.time)"
)


def _by_hour(column: str) -> str:
    return f"SELECT r.time, s.metric, r.{column} AS value FROM telemetry_rollup_hour r\n{_OF_DEVICE}\nORDER BY 1, 2"


BUSINESS = Dashboard(
    "iot-readings",
    "Readings and alerts",
    (
        Panel(
            "Devices",
            "Registered and enabled, and those that sent within the last hour.",
            (
                ("SELECT count(*) AS enabled FROM telemetry_device WHERE enabled", ""),
                ("SELECT count(*) AS sending FROM telemetry_devicelastseen WHERE at > now() - interval '1 hour'", ""),
            ),
            kind="stat",
            width=8,
        ),
        Panel(
            "Readings",
            "In the time that is shown.",
            (
                (
                    "SELECT coalesce(sum(count), 0)::bigint AS readings FROM telemetry_rollup_hour "
                    "WHERE $__timeFilter(time)",
                    "",
                ),
            ),
            kind="stat",
            width=8,
        ),
        Panel(
            "Open alerts",
            "Not ended, acknowledged ones included.",
            (("SELECT count(*) AS open FROM alerts_alert WHERE ended_at IS NULL", ""),),
            kind="stat",
            width=8,
            alarm_at=1,
        ),
        Panel(
            "Averages of the device",
            "Of each hour, by metric.",
            ((_by_hour("mean"), ""),),
        ),
        Panel(
            "Extremes of the device",
            "Smallest and largest value of each hour, by metric.",
            (
                (
                    "SELECT r.time, s.metric || ' ' || e.what AS metric, e.value FROM telemetry_rollup_hour r\n"
                    "CROSS JOIN LATERAL (VALUES ('min', r.min), ('max', r.max)) AS e (what, value)\n"
                    f"{_OF_DEVICE}\nORDER BY 1, 2",
                    "",
                ),
            ),
        ),
        Panel(
            "Readings of the device",
            "As they were sent; the latest 10,000 of the time that is shown.",
            (
                (
                    "SELECT time, metric, value FROM (\n"
                    "SELECT r.time, s.metric, r.value FROM telemetry_reading r\n"
                    f"{_OF_DEVICE}\nORDER BY r.time DESC LIMIT 10000) AS latest ORDER BY 1, 2",
                    "",
                ),
            ),
        ),
        Panel(
            "Readings of all devices",
            "Per hour, by type of device.",
            (
                (
                    "SELECT r.time, coalesce(t.name, 'without a type') AS metric, sum(r.count) AS value\n"
                    "FROM telemetry_rollup_hour r JOIN telemetry_series s ON s.id = r.series_id\n"
                    "JOIN telemetry_device d ON d.id = s.device_id LEFT JOIN telemetry_devicetype t ON t.id = d.type_id\n"
                    "WHERE $__timeFilter(r.time) GROUP BY 1, 2 ORDER BY 1, 2",
                    "",
                ),
            ),
        ),
        Panel(
            "Alerts by day",
            "By the worst that they became; days in UTC.",
            (
                (
                    "SELECT date_trunc('day', opened_at, 'UTC') AS time,\n"
                    "(ARRAY['info', 'warning', 'major', 'critical'])[highest_severity] AS metric, count(*) AS value\n"
                    "FROM alerts_alert WHERE $__timeFilter(opened_at) GROUP BY 1, 2 ORDER BY 1, 2",
                    "",
                ),
            ),
        ),
        Panel(
            "Devices with the most alerts",
            "In the time that is shown, with the hours that they were open.",
            (
                (
                    "SELECT device_name AS device, count(*) AS alerts,\n"
                    "round(sum(extract(epoch FROM coalesce(ended_at, now()) - opened_at)) / 3600, 1) AS hours\n"
                    "FROM alerts_alert WHERE $__timeFilter(opened_at) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20",
                    "",
                ),
            ),
            kind="table",
        ),
        Panel(
            "Silent for longest",
            "Enabled devices by when they were last heard; those that never were come first.",
            (
                (
                    "SELECT d.name AS device, g.path AS group, l.at AS heard FROM telemetry_device d\n"
                    "LEFT JOIN telemetry_devicegroup g ON g.id = d.group_id\n"
                    "LEFT JOIN telemetry_devicelastseen l ON l.device_id = d.id\n"
                    "WHERE d.enabled ORDER BY l.at NULLS FIRST, 1 LIMIT 20",
                    "",
                ),
            ),
            kind="table",
        ),
        Panel(
            "Latest alerts",
            "What opened in the time that is shown.",
            (
                (
                    "SELECT opened_at AS opened, ended_at AS ended, device_name AS device, metric,\n"
                    "threshold_name AS threshold, (ARRAY['info', 'warning', 'major', 'critical'])[highest_severity]"
                    " AS severity,\nstate, extreme, unit FROM alerts_alert\n"
                    "WHERE $__timeFilter(opened_at) ORDER BY opened_at DESC LIMIT 100",
                    "",
                ),
            ),
            kind="table",
            width=24,
        ),
    ),
    choices=(("device", "SELECT name FROM telemetry_device ORDER BY name"),),
    since="now-7d",
)
