"""Alerts as they stand in the database against those that the slow reference finds in the same readings."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.faults.alert_plan import Crossing
from tests.faults.plan import METRICS
from tests.thresholds.reference import Reference
from thresholds.compiled import Place
from thresholds.rule import Flapping, Rule, make_rule

__all__ = ["Found", "compare", "rules_of"]

Pair = tuple[int, str]
Connection = psycopg.Connection[Any]

_SEVERITIES = {"info": 1, "warning": 2, "major": 3, "critical": 4}

_US = "(extract(epoch FROM {}) * 1000000)::bigint"
_PLACES = """
SELECT s.id, d.name, d.id, s.metric, d.type_id, m.expected_interval
FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id
LEFT JOIN telemetry_metricdefinition m ON m.device_type_id = d.type_id AND m.name = s.metric
WHERE d.name = ANY(%s)
"""
_ALERTS = f"""
SELECT a.id, a.threshold_id, a.series_id, {_US.format("a.opened_at")}, {_US.format("a.ended_at")}, a.state, a.severity,
    a.highest_severity, a.value, {_US.format("a.value_at")}, a.extreme, a.readings, a.flapping, a.caught_up, a.end_reason
FROM alerts_alert a WHERE a.threshold_id = ANY(%s) ORDER BY a.opened_at, a.id
"""
_TIMELINES = f"""
SELECT e.alert_id, e.kind, {_US.format("e.event_time")}, e.severity
FROM alerts_alertevent e JOIN alerts_alert a ON a.id = e.alert_id
WHERE a.threshold_id = ANY(%s) AND e.kind IN ('opened', 'raised', 'lowered', 'flapping', 'cleared') ORDER BY e.id
"""


@dataclass
class Found:
    """What is wrong, and of how many alerts and changes that was looked for."""

    alerts: int = 0
    changes: int = 0
    flapping: int = 0
    wrong: list[str] = field(default_factory=list)


def rules_of(made: Iterable[Mapping[str, Any]], connection: Connection) -> list[Rule]:
    """Thresholds as the REST API answered them, as the reference reads them."""
    devices = dict(connection.execute("SELECT name, id FROM telemetry_device").fetchall())
    types = dict(connection.execute("SELECT name, id FROM telemetry_devicetype").fetchall())
    return [
        make_rule(
            threshold_id=body["id"],
            metric=body["metric"],
            condition=body["condition"],
            levels=[_level(level) for level in body["levels"]],
            for_seconds=body["for"],
            consecutive=body["consecutive"],
            clear_for_seconds=body["clear_for"],
            max_gap_seconds=body["max_gap"],
            gap_policy=body["gap_policy"],
            device_id=devices[body["scope"]["device"]] if "device" in body["scope"] else None,
            device_type_id=types[body["scope"]["device_type"]] if "device_type" in body["scope"] else None,
            overrides_id=body["overrides"],
        )
        for body in made
    ]


def compare(
    connection: Connection, rules: list[Rule], crossing: Crossing, sent: Mapping[int, int], flapping: Flapping
) -> Found:
    """``sent``: how many readings of each device (by its number) were accepted, in order and from its first on."""
    places = {
        (name, metric): Place(series, device, metric, type_id, (), interval)
        for series, name, device, metric, type_id, interval in connection.execute(_PLACES, [list(crossing.devices)])
    }
    reference = Reference(rules, list(places.values()), int(time.time() * 1e6), flapping.openings, flapping.within_us)
    for device, count in sent.items():
        for at, values in crossing.readings(device, 0, count):
            for metric, value in zip(METRICS, values, strict=True):
                reference.read(places[crossing.devices[device], metric].series_id, at, value)
    names = {place.series_id: f"{name} {metric}" for (name, metric), place in places.items()}
    return _differences(_expected(reference, names), _stored(connection, rules, names))


def _expected(reference: Reference, names: Mapping[int, str]) -> dict[Pair, list[Any]]:
    found = defaultdict(list)
    for alert in sorted(reference.alerts, key=lambda alert: alert.opened_at):
        found[alert.threshold_id, names[alert.series_id]].append(
            (
                *(alert.opened_at, alert.ended_at, "open" if alert.ended_at is None else "cleared", alert.severity),
                *(alert.highest, alert.value, alert.value_at, alert.extreme, alert.readings, alert.flapping),
                *(alert.caught_up, alert.end_reason, alert.timeline),
            )
        )
    return found


def _stored(connection: Connection, rules: list[Rule], names: Mapping[int, str]) -> dict[Pair, list[Any]]:
    ids = [rule.threshold_id for rule in rules]
    timelines: dict[int, list[Any]] = defaultdict(list)
    for alert, *change in connection.execute(_TIMELINES, [ids]).fetchall():
        timelines[alert].append(tuple(change))
    found = defaultdict(list)
    for alert, threshold, series, *columns in connection.execute(_ALERTS, [ids]).fetchall():
        found[threshold, names.get(series, f"series {series}")].append((*columns, timelines[alert]))
    return found


def _differences(expected: Mapping[Pair, list[Any]], stored: Mapping[Pair, list[Any]]) -> Found:
    every = [alert for alerts in expected.values() for alert in alerts]
    found = Found(len(every), sum(len(alert[-1]) for alert in every), sum(alert[-4] for alert in every))
    for pair in sorted({*expected, *stored}):
        right, there = expected.get(pair, []), stored.get(pair, [])
        if len(right) != len(there):
            found.wrong.append(f"threshold {pair[0]}, {pair[1]}: {len(there)} alerts, not {len(right)}")
        found.wrong += [
            f"threshold {pair[0]}, {pair[1]}: stored {is_} where {should} is right"
            for should, is_ in zip(right, there, strict=False)
            if should != is_
        ]
    return found


def _level(level: Mapping[str, Any]) -> dict[str, Any]:
    (trigger, trigger_high), (clear, clear_high) = (_ends(level[name]) for name in ("trigger", "clear"))
    severity = _SEVERITIES[level["severity"]]
    return {
        "severity": severity,
        "trigger": trigger,
        "trigger_high": trigger_high,
        "clear": clear,
        "clear_high": clear_high,
    }


def _ends(value: Any) -> tuple[Any, Any]:
    return tuple(value) if isinstance(value, list) else (value, None)
