"""What dashboards are made of, and how Grafana reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["DATABASE", "PROMETHEUS", "Dashboard", "Panel", "quantiles", "rate", "rendered"]

#: As the data sources are called in provisioning/datasources.
PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
DATABASE = {"type": "grafana-postgresql-datasource", "uid": "readings"}
#: Of Grafana's grid of 24 columns.
_COLUMNS, _HEIGHT = 24, 8
_SQL = ("SELECT", "WITH")


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: ``queries`` are pairs of an expression (or of SQL) and the name of its lines; ``unit`` is one of Grafana's.

    ``kind`` is "timeseries", "stat" or "table"; ``alarm_at`` paints what is above it red (below it, for ``alarm_below``).
    SQL of a time series answers columns time, metric (the line) and value.
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
    """A page of panels, in rows from left to right. ``choices``: name of a variable → SQL of its values."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    choices: tuple[tuple[str, str], ...] = ()
    since: str = "now-3h"


def quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    """Median and 99th percentile of a histogram."""
    grown = f"sum by (le) (rate({metric}_bucket[$__rate_interval]))"
    return tuple((f"histogram_quantile({part}, {grown})", name) for part, name in ((0.5, "median"), (0.99, "99 %")))


def rate(metric: str, by: str = "") -> str:
    """A counter's growth per second."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}[$__rate_interval]))"


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
        "time": {"from": dashboard.since, "to": "now"},
        "templating": {"list": [_choice(name, sql) for name, sql in dashboard.choices]},
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
        "datasource": _source(panel.queries[0][0]),
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "thresholds": _thresholds(panel)}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": _source(query)} | _question(panel, query, name)
            for place, (query, name) in enumerate(panel.queries)
        ],
    }


def _source(query: str) -> dict[str, str]:
    return DATABASE if query.startswith(_SQL) else PROMETHEUS


def _question(panel: Panel, query: str, name: str) -> dict[str, Any]:
    if not query.startswith(_SQL):
        return {"expr": query, "legendFormat": name}
    form = "time_series" if panel.kind == "timeseries" else "table"
    return {"rawSql": query, "rawQuery": True, "editorMode": "code", "format": form}


def _choice(name: str, sql: str) -> dict[str, Any]:
    """A variable of the page; its first value is chosen until somebody chooses another."""
    return {"name": name, "type": "query", "datasource": DATABASE, "query": sql, "refresh": 1, "sort": 1}


def _thresholds(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.alarm_at is not None:
        steps.append({"color": "red", "value": panel.alarm_at})
    if panel.alarm_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.alarm_below}]
    return {"mode": "absolute", "steps": steps}
