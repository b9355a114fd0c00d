"""The Grafana dashboards, described once; ``python deploy/grafana/dashboards.py`` writes them as Grafana reads them.

The files in ``dashboards/`` are made, and committed so that Grafana needs nothing of this. Changed in Grafana, a dashboard
is not saved: change it here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["DASHBOARDS", "FOLDER", "Dashboard", "Panel", "rendered"]

FOLDER = Path(__file__).parent / "dashboards"

_DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
#: Of Grafana's grid of 24 columns.
_COLUMNS, _HEIGHT = 24, 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: ``queries`` are pairs of an expression and the name of its lines; ``unit`` is one of Grafana's.

    ``kind`` is "timeseries" or "stat"; ``alarm_at`` paints what is above it red (below it, for ``alarm_below``).
    """

    title: str
    meaning: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    alarm_at: float | None = None
    alarm_below: float | None = None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of panels, in rows from left to right."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


def _quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    rate = f"sum by (le) (rate({metric}_bucket[$__rate_interval]))"
    return tuple((f"histogram_quantile({part}, {rate})", name) for part, name in ((0.5, "median"), (0.99, "99 %")))


def _rate(metric: str, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}[$__rate_interval]))"


_PIPELINE = Dashboard(
    "iot-pipeline",
    "Ingest and pipeline",
    (
        Panel("Services", "1 where it answers.", (("iot_up", "{{service}}"),), kind="stat", width=6, alarm_below=1),
        Panel("Devices", "Registered.", (("iot_devices", "devices"),), kind="stat", width=6),
        Panel("Series", "Device and metric.", (("iot_series", "series"),), kind="stat", width=6),
        Panel(
            "Oldest waiting reading",
            "Above a minute nobody drains, or too slowly.",
            (("max(iot_log_oldest_seconds)", "oldest"),),
            "s",
            "stat",
            6,
            alarm_at=60,
        ),
        Panel(
            "Readings",
            "Accepted goes ahead of stored only while readings wait in the log.",
            (
                (_rate("iot_readings_accepted_total"), "accepted"),
                (_rate("iot_readings_stored_total"), "stored"),
                (_rate("iot_readings_duplicate_total"), "duplicate"),
            ),
            "cps",
        ),
        Panel(
            "Requests of senders",
            "By the status of the answer; 503 means that senders try again.",
            ((_rate("iot_requests_total", "status"), "{{status}}"),),
            "reqps",
        ),
        Panel(
            "From arrival to commit",
            "Of a sample of log entries.",
            _quantiles("iot_ingest_latency_seconds"),
            "s",
            alarm_at=1,
        ),
        Panel("One drain", "From reading the log to its commit.", _quantiles("iot_drain_seconds"), "s"),
        Panel(
            "Waiting to be stored",
            "By shard; at LOG_MAX_BYTES intake answers 503.",
            (("iot_log_bytes", "shard {{shard}}"),),
            "bytes",
            alarm_at=268_435_456,
        ),
        Panel("Append to the log", "Shared by the requests in it.", _quantiles("iot_log_append_seconds"), "s"),
        Panel(
            "Refused readings",
            "By reason; the quarantine tells the devices.",
            ((_rate("iot_readings_rejected_total", "code"), "{{code}}"),),
            "cps",
        ),
        Panel(
            "Quarantine",
            "Waiting for replay or discard, and all rows.",
            (("iot_quarantine_waiting", "waiting"), ("iot_quarantine_rows", "rows")),
        ),
        Panel(
            "Trouble with storing",
            "Drains that are repeated, entries that were set aside, logs that were lost.",
            (
                (_rate("iot_drain_errors_total", "kind"), "{{kind}}"),
                ("increase(iot_poison_entries_total[$__rate_interval])", "set aside"),
                ("increase(iot_log_lost_total[$__rate_interval])", "log lost"),
            ),
        ),
        Panel(
            "Rollups behind",
            "Above five minutes answers are slower, and right all the same.",
            (("iot_rollup_lag_seconds", "event time"), ("iot_rollup_late_seconds", "late readings")),
            "s",
            alarm_at=300,
        ),
        Panel(
            "Answers over HTTP, 99th percentile",
            "By route.",
            (
                (
                    "histogram_quantile(0.99, sum by (le, route) (rate(iot_http_request_seconds_bucket[$__rate_interval])))",
                    "{{route}}",
                ),
            ),
            "s",
            width=24,
        ),
    ),
)

_ALERTS = Dashboard(
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
            (("sum(increase(iot_messages_given_up_total[24h])) or vector(0)", "given up"),),
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
            ((_rate("iot_alert_events_routed_total"), "changes"),),
            "cps",
        ),
        Panel(
            "Alerts that were not told",
            "By reason: import, late, silence, gateway, route.",
            ((_rate("iot_alerts_suppressed_total", "reason"), "{{reason}}"),),
            "cps",
        ),
        Panel(
            "Messages sent",
            "By kind of channel.",
            ((_rate("iot_messages_sent_total", "channel"), "{{channel}}"),),
            "cps",
        ),
        Panel(
            "Attempts that failed",
            "Those that are repeated included.",
            ((_rate("iot_send_failures_total", "channel"), "{{channel}}"),),
            "cps",
        ),
        Panel("One attempt to send", "Until the receiver answered.", _quantiles("iot_deliver_seconds"), "s"),
        Panel(
            "Exports",
            "Files made, and attempts that failed.",
            (
                (_rate("iot_exports_done_total"), "made"),
                (_rate("iot_exports_failed_total", "outcome"), "{{outcome}}"),
            ),
            "cps",
        ),
    ),
)

DASHBOARDS = (_PIPELINE, _ALERTS)


def rendered(dashboard: Dashboard) -> str:
    """The file of a dashboard."""
    page = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["iot"],
        "schemaVersion": 39,
        "editable": False,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "panels": _placed(dashboard.panels),
    }
    return json.dumps(page, indent=1, ensure_ascii=False) + "\n"


def _placed(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    """Panels in rows: one that does not fit beside the last begins the next."""
    placed, x, y, row_height = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        height = _HEIGHT // 2 if panel.kind == "stat" else _HEIGHT
        if x + panel.width > _COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        row_height = max(row_height, height)
        placed.append(_panel(number, panel) | {"gridPos": {"x": x, "y": y, "w": panel.width, "h": height}})
        x += panel.width
    return placed


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": _DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "thresholds": _thresholds(panel)}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": _DATASOURCE, "expr": expression, "legendFormat": name}
            for place, (expression, name) in enumerate(panel.queries)
        ],
    }


def _thresholds(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.alarm_at is not None:
        steps.append({"color": "red", "value": panel.alarm_at})
    if panel.alarm_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.alarm_below}]
    return {"mode": "absolute", "steps": steps}


if __name__ == "__main__":
    for each in DASHBOARDS:
        (FOLDER / f"{each.uid}.json").write_text(rendered(each))
