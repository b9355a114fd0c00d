"""What judging reads: versions, rules, where series stand, thresholds as alerts keep them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from telemetry.store.stored import values_at
from thresholds.compiled import Place
from thresholds.models import Severity
from thresholds.rule import RANGES, LevelRule, Rule
from thresholds.schedule import parse

logger = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]

_VERSIONS = """
SELECT coalesce(v.rules, 0), coalesce(v.placement, 0), coalesce(j.epoch, 0)
FROM (SELECT 1) AS one
LEFT JOIN thresholds_rulesversion v ON v.id = 1 LEFT JOIN thresholds_shardjudging j ON j.shard = %s
"""
_THRESHOLDS = """
SELECT id, metric, condition, for_seconds, consecutive, clear_for_seconds, max_gap_seconds, gap_policy, schedule,
       device_id, device_type_id, group_id, overrides_id
FROM thresholds_threshold WHERE enabled ORDER BY id
"""
_LEVELS = """
SELECT l.threshold_id, l.severity, l.trigger, l.trigger_high, l.clear, l.clear_high
FROM thresholds_level l JOIN thresholds_threshold t ON t.id = l.threshold_id AND t.enabled
ORDER BY l.threshold_id, l.severity
"""
_PLACES = """
SELECT s.id, s.device_id, s.metric, d.type_id, d.group_id, m.expected_interval, d.enabled
FROM telemetry_series s
JOIN telemetry_device d ON d.id = s.device_id
LEFT JOIN telemetry_metricdefinition m ON m.device_type_id = d.type_id AND m.name = s.metric
"""
_DESCRIBED = """
SELECT t.id, t.name, t.description, t.enabled, d.name, ty.name, g.path, t.metric, t.condition, t.for_seconds,
       t.consecutive, t.clear_for_seconds, t.max_gap_seconds, t.gap_policy, t.schedule, t.message, t.overrides_id
FROM thresholds_threshold t
LEFT JOIN telemetry_device d ON d.id = t.device_id
LEFT JOIN telemetry_devicetype ty ON ty.id = t.device_type_id
LEFT JOIN telemetry_devicegroup g ON g.id = t.group_id
WHERE t.id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Versions:
    """What a drain judges under; see thresholds.models.RulesVersion and ShardJudging."""

    rules: int
    placement: int
    epoch: int


def load_versions(connection: Connection, shard: int) -> Versions:
    """The versions as they are now."""
    row = connection.execute(_VERSIONS, [shard]).fetchone()
    assert row is not None
    return Versions(*row)


def load_rules(connection: Connection) -> list[Rule]:
    """The enabled thresholds, in order of their ids. One that makes no sense is left out, and said so: it must not keep
    the others from being judged."""
    levels: dict[int, list[LevelRule]] = {}
    for threshold_id, *level in connection.execute(_LEVELS).fetchall():
        levels.setdefault(threshold_id, []).append(LevelRule(*level))
    rules = []
    for row in connection.execute(_THRESHOLDS).fetchall():
        try:
            rules.append(_rule(row, levels.get(row[0], [])))
        except ValueError as error:
            logger.error("threshold_not_judged", extra={"threshold": row[0], "error": str(error)})
    return rules


def _rule(row: tuple[Any, ...], levels: list[LevelRule]) -> Rule:
    threshold, metric, condition, for_, consecutive, clear_for, max_gap, policy, schedule, *scope = row
    if not levels:
        raise ValueError("it has no level")
    if condition in RANGES and any(level.trigger_high is None for level in levels):
        raise ValueError("a level has no upper end")
    return Rule(
        threshold,
        metric,
        condition,
        tuple(levels),
        round(for_ * 1e6),
        consecutive,
        round(clear_for * 1e6),
        None if max_gap is None else round(max_gap * 1e6),
        policy == "reset",
        parse(schedule),
        *scope,
    )


class Places:
    """Where series stand. The tree of groups is remembered; new groups in it are looked up as they appear."""

    def __init__(self) -> None:
        self._parents: dict[int, int | None] = {}
        self._above: dict[int | None, tuple[int, ...]] = {None: ()}

    def of(self, connection: Connection, series: list[int]) -> list[Place]:
        """Those of these series that exist."""
        return self._placed(connection, connection.execute(f"{_PLACES} WHERE s.id = ANY(%s)", [series]).fetchall())

    def of_metrics(self, connection: Connection, metrics: list[str], shard: int) -> list[Place]:
        """All series of these metrics in a shard."""
        sql = f"{_PLACES} WHERE s.metric = ANY(%s) AND s.device_id %% (SELECT shards FROM telemetry_loglayout) = %s"
        return self._placed(connection, connection.execute(sql, [metrics, shard]).fetchall())

    def _placed(self, connection: Connection, rows: list[tuple[Any, ...]]) -> list[Place]:
        above = self._above
        if any(row[4] not in above for row in rows):
            self._parents = dict(connection.execute("SELECT id, parent_id FROM telemetry_devicegroup").fetchall())
            above = self._above = {None: (), **{group: self._path(group) for group in self._parents}}
        return [
            Place(series, device, metric, type_id, above.get(group, ()), interval, enabled)
            for series, device, metric, type_id, group, interval, enabled in rows
        ]

    def _path(self, group: int | None) -> tuple[int, ...]:
        """A group and everything above it."""
        path: list[int] = []
        while group is not None and group not in path:
            path.append(group)
            group = self._parents.get(group)
        return tuple(path)


def load_values(connection: Connection, series: list[int], times: list[int]) -> dict[int, float]:
    """The stored values at these (series, time in µs), by their place in the lists."""
    return values_at(connection, np.array(series, np.int32), np.array(times, np.int64))


def describe(connection: Connection, ids: list[int]) -> dict[int, dict[str, Any]]:
    """Thresholds as the REST API shows them, by id: what an alert keeps of the rule it was opened by."""
    levels: dict[int, list[dict[str, Any]]] = {}
    sql = (
        "SELECT threshold_id, severity, trigger, trigger_high, clear, clear_high FROM thresholds_level "
        "WHERE threshold_id = ANY(%s) ORDER BY threshold_id, severity"
    )
    # Both are asked before either is read: in a pipeline that is one wait.
    of_levels, of_thresholds = connection.execute(sql, [ids]), connection.execute(_DESCRIBED, [ids])
    for threshold, severity, trigger, high, clear, clear_high in of_levels:
        level = {"severity": Severity(severity).label, "trigger": trigger if high is None else [trigger, high]}
        if clear is not None or clear_high is not None:
            level["clear"] = clear if high is None else [trigger if clear is None else clear, _or(clear_high, high)]
        levels.setdefault(threshold, []).append(level)
    return {row[0]: _described(row, levels.get(row[0], [])) for row in of_thresholds}


def describe_rule(rule: Rule) -> dict[str, Any]:
    """The same of a threshold that was deleted since it was loaded."""
    levels = [{"severity": Severity(level.severity).label, "trigger": level.as_trigger} for level in rule.levels]
    gap = None if rule.max_gap_us is None else rule.max_gap_us / 1e6
    row = (
        rule.threshold_id,
        f"threshold {rule.threshold_id}",
        "",
        False,
        None,
        None,
        None,
        rule.metric,
        rule.condition,
    )
    times = (rule.for_us / 1e6, rule.consecutive, rule.clear_for_us / 1e6, gap)
    return _described((*row, *times, "reset" if rule.reset else "hold", None, "", rule.overrides), levels)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _described(row: tuple[Any, ...], levels: list[dict[str, Any]]) -> dict[str, Any]:
    threshold, name, description, enabled, device, device_type, group, metric, condition, for_, consecutive = row[:11]
    clear_for, max_gap, policy, schedule, message, overrides = row[11:]
    scopes = {"device": device, "device_type": device_type, "group": group}
    scope = {kind: named for kind, named in scopes.items() if named is not None}
    return {
        "id": threshold,
        "name": name,
        "description": description,
        "enabled": enabled,
        "scope": scope or {"all": True},
        "metric": metric,
        "condition": condition,
        "levels": levels,
        "for": for_,
        "consecutive": consecutive,
        "clear_for": clear_for,
        "max_gap": max_gap,
        "gap_policy": policy,
        "schedule": schedule,
        "message": message,
        "overrides": overrides,
    }
