"""Writing what judging found: one statement a kind of change, however many alerts a drain moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from alerts.bulk_rows import BulkRows
from alerts.fold import Entry, Fold, Pair, Place, Working
from telemetry.tracing.context import as_text
from thresholds.transitions import Judged, Progress

__all__ = ["record"]

Connection = psycopg.Connection[Any]

_LIVE = "state IN ('open', 'acknowledged')"
_TIME = "to_timestamp({} / 1e6::float8)"
_MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint"

_PAIRS = BulkRows({"threshold_id": "bigint", "series_id": "int"})
_STANDING = {"severity": "smallint", "highest": "smallint", "trigger": "jsonb", "value": "float8", "value_at": "bigint"}
_STANDING |= {"extreme": "float8", "readings": "bigint", "flapping": "boolean", "caught_up": "boolean"}
_STANDING |= {"ended_at": "bigint", "end_reason": "text"}
_CHANGED = BulkRows({"id": "bigint"} | _STANDING)
_PLACE = {"device_id": "bigint", "device": "text", "metric": "text", "unit": "text"}
_OPENED = BulkRows(
    {"id": "bigint", "threshold_id": "bigint", "series_id": "int", "opened_at": "bigint", "imported": "boolean"}
    | {"evidence": "jsonb"}
    | _PLACE
    | _STANDING
)
_RULES = BulkRows({"threshold_id": "bigint", "rule": "jsonb"})
_TIMELINE = BulkRows(
    {"alert_id": "bigint", "kind": "text", "event_time": "bigint", "value": "float8", "severity": "smallint"}
    | {"text": "text", "unrouted": "boolean", "traceparent": "text"}
)
_STEPS = BulkRows(
    {"threshold_id": "bigint", "series_id": "int", "at": "bigint", "value": "float8", "readings": "bigint"}
    | {"caught_up": "boolean", "extreme": "float8", "sense": "text", "middle": "float8"}
)

_SELECT_PLACES = """
SELECT s.id, d.id, d.name, s.metric, coalesce(m.unit, ''), s.boolean
FROM unnest(%s::int[]) AS u(id)
JOIN telemetry_series s ON s.id = u.id
JOIN telemetry_device d ON d.id = s.device_id
LEFT JOIN telemetry_metricdefinition m ON m.device_type_id = d.type_id AND m.name = s.metric
"""
# Operators who change many alerts never wait for one while they hold others (alerts.actions): no order is needed here.
# LATERAL goes down to each pair's alert by its unique index. Left to choose, the planner reads all that are live, and the
# index entries of all that were until the table was vacuumed.
_SELECT_LIVE = f"""
SELECT a.threshold_id, a.series_id, a.device_id, a.device_name, a.metric, a.unit,
    coalesce((a.evidence ->> 'boolean')::boolean, false), a.condition, a.severity, a.highest_severity, a.trigger,
    a.value, {_MICROSECONDS.format("a.value_at")}, a.extreme, a.readings, {_MICROSECONDS.format("a.opened_at")},
    a.imported, a.caught_up, a.flapping, a.id
FROM {_PAIRS.source}
CROSS JOIN LATERAL (
    SELECT * FROM alerts_alert l WHERE l.threshold_id = u.threshold_id AND l.series_id = u.series_id AND l.{_LIVE}
    FOR NO KEY UPDATE
) AS a
"""
# The ids are said twice: the planner takes an array for ten rows, but arrays of JSON beside it for a hundred, for which it
# would read the whole table.
_UPDATE = f"""
UPDATE alerts_alert a SET severity = u.severity, highest_severity = u.highest, trigger = u.trigger, value = u.value,
    value_at = {_TIME.format("u.value_at")}, extreme = u.extreme, readings = u.readings, flapping = u.flapping,
    caught_up = u.caught_up, state = CASE WHEN u.ended_at IS NULL THEN a.state ELSE 'cleared' END,
    ended_at = {_TIME.format("u.ended_at")}, end_reason = u.end_reason
FROM {_CHANGED.source} WHERE a.id = u.id AND a.id = ANY(%s::bigint[])
"""
_NEXT_IDS = """
SELECT nextval(s.sequence)
FROM (SELECT pg_get_serial_sequence('alerts_alert', 'id')::regclass AS sequence OFFSET 0) s, generate_series(1, %s)
"""
_INSERT = f"""
INSERT INTO alerts_alert (id, threshold_id, threshold_name, series_id, device_id, device_name, metric, unit, condition,
    state, severity, highest_severity, trigger, value, value_at, extreme, readings, opened_at, detected_at,
    ended_at, end_reason, flapping, imported, caught_up, evidence, rule)
SELECT u.id, u.threshold_id, r.rule ->> 'name', u.series_id, u.device_id, u.device, u.metric, u.unit,
    r.rule ->> 'condition', CASE WHEN u.ended_at IS NULL THEN 'open' ELSE 'cleared' END, u.severity, u.highest, u.trigger,
    u.value, {_TIME.format("u.value_at")}, u.extreme, u.readings, {_TIME.format("u.opened_at")},
    {_TIME.format("%s::bigint")}, {_TIME.format("u.ended_at")}, u.end_reason, u.flapping, u.imported, u.caught_up,
    u.evidence, r.rule
FROM {_OPENED.source} JOIN (SELECT * FROM {_RULES.source}) AS r ON r.threshold_id = u.threshold_id
"""
_INSERT_TIMELINE = f"""
INSERT INTO alerts_alertevent (alert_id, kind, at, event_time, value, severity, text, unrouted, traceparent)
SELECT u.alert_id, u.kind, {_TIME.format("%s::bigint")}, {_TIME.format("u.event_time")}, u.value, u.severity, u.text,
    u.unrouted, u.traceparent
FROM {_TIMELINE.source} ORDER BY u.place
"""
# alerts.fold.further, in SQL.
_FURTHER = """
CASE WHEN u.extreme IS NULL THEN a.extreme
    WHEN a.extreme IS NULL THEN u.extreme
    WHEN u.sense = 'high' THEN greatest(a.extreme, u.extreme)
    WHEN u.sense = 'low' THEN least(a.extreme, u.extreme)
    WHEN u.sense = 'far' AND abs(u.extreme - u.middle) <= abs(a.extreme - u.middle) THEN a.extreme
    ELSE u.extreme END
"""
# Touches no indexed column, so that the row's new version finds room beside the old one and no index is written.
_PROGRESS = f"""
UPDATE alerts_alert a SET value = u.value, value_at = {_TIME.format("u.at")}, extreme = {_FURTHER},
    readings = a.readings + u.readings, caught_up = a.caught_up OR (u.caught_up AND NOT a.imported)
FROM {_STEPS.source}
WHERE a.threshold_id = u.threshold_id AND a.series_id = u.series_id AND a.{_LIVE}
"""


def record(connection: Connection, judged: Judged) -> None:
    """Write alerts and their timelines, in the transaction that is open on the connection.

    Raises alerts.fold.OpenedTwice where an opening meets a live alert of its pair; nothing is written then.
    """
    moved = {(change.threshold_id, change.series_id) for change in judged.transitions}
    moved |= {(ended.threshold_id, ended.series_id) for ended in judged.ended}
    plain = [step for step in judged.progress if (step.threshold_id, step.series_id) not in moved]
    if moved:
        live, places, ids = _known(connection, judged, moved)
        fold = Fold(judged, live, places)
        fold.run(step for step in judged.progress if (step.threshold_id, step.series_id) in moved)
        # Ids come first, so that the timelines can name them.
        for alert, id in zip(fold.opened, ids, strict=False):
            alert.id = id
        _update(connection, list(fold.touched.values()))
        _insert(connection, judged, fold.opened)
        _write_timeline(connection, judged, fold.entries)
    if plain:
        _progress(connection, plain)


def _known(
    connection: Connection, judged: Judged, pairs: Iterable[Pair]
) -> tuple[dict[Pair, Working], dict[int, Place], list[int]]:
    """What there is to lay changes on: the live alerts of these pairs, locked against operators until the transaction
    ends; where the series of openings are (those of deleted devices are missing); an id for each opening.

    All is asked before any answer is read: in a pipeline that is one wait.
    """
    opened = [change.series_id for change in judged.transitions if change.kind == "opened"]
    alerts = _planned_anew(connection, _SELECT_LIVE, _PAIRS.parameters(pairs))
    if opened:
        series = connection.execute(_SELECT_PLACES, ["{" + ",".join(map(str, set(opened))) + "}"])
        ids = connection.execute(_NEXT_IDS, [len(opened)])
    live = {}
    for threshold_id, series_id, *row in alerts:
        live[threshold_id, series_id] = Working(threshold_id, series_id, Place(*row[:5]), *row[5:])
    if not opened:
        return live, {}, []
    return live, {id: Place(*place) for id, *place in series}, [id for (id,) in ids]


def _update(connection: Connection, alerts: list[Working]) -> None:
    if alerts:
        changed = _CHANGED.parameters((alert.id, *_standing(alert)) for alert in alerts)
        _planned_anew(connection, _UPDATE, [*changed, changed[0]])


def _insert(connection: Connection, judged: Judged, alerts: list[Working]) -> None:
    if not alerts:
        return
    rows = (
        (
            *(alert.id, alert.threshold_id, alert.series_id, alert.opened_at, alert.imported, alert.evidence),
            *(alert.place.device_id, alert.place.device, alert.place.metric, alert.place.unit),
            *_standing(alert),
        )
        for alert in alerts
    )
    rules = ((threshold, judged.rules[threshold]) for threshold in {alert.threshold_id for alert in alerts})
    connection.execute(_INSERT, [judged.now, *_OPENED.parameters(rows), *_RULES.parameters(rules)])


def _standing(alert: Working) -> tuple[Any, ...]:
    """What changes of an alert, as the columns of _STANDING."""
    return (
        *(alert.severity, alert.highest, alert.trigger, alert.value, alert.value_at, alert.extreme, alert.readings),
        *(alert.flapping, alert.caught_up, alert.ended_at, alert.end_reason),
    )


def _write_timeline(connection: Connection, judged: Judged, entries: list[Entry]) -> None:
    if entries:
        rows = (
            (
                *(entry.alert.id, entry.kind, entry.event_time, entry.value, entry.severity),
                *(entry.text, entry.unrouted, as_text(judged.traces.get(entry.alert.series_id, b""))),
            )
            for entry in entries
        )
        connection.execute(_INSERT_TIMELINE, [judged.now, *_TIMELINE.parameters(rows)])


def _progress(connection: Connection, steps: list[Progress]) -> None:
    rows = (
        (
            *(step.threshold_id, step.series_id, step.at, step.value, step.readings, step.caught_up),
            *((None, None, None) if (far := step.extreme) is None else (far.value, far.sense, far.middle)),
        )
        for step in steps
    )
    _planned_anew(connection, _PROGRESS, _STEPS.parameters(rows))


def _planned_anew(connection: Connection, statement: str, parameters: Sequence[Any]) -> psycopg.Cursor[Any]:
    """Execute what finds alerts. A plan that is kept was made for the table as it was: empty, where the first storm begins,
    when one index looks as good as another. The one that it took then had all live alerts read for each pair, so that a
    drain's time grew with them until the table was analysed for the first time."""
    return connection.execute(statement, parameters, prepare=False)
