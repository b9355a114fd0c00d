"""Active thresholds for a measurement: made in the database as operators' edits would be, and in force before it begins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.fleet import Fleet

#: Of the values that bodies.value_texts draws (mean 20, standard deviation 5) 0.1 % lie above it; none near NEVER.
LIMIT, NEVER = 35.45, 1_000.0
BREACHING = 0.001
_PATIENCE = 60

_GROUPS = """
INSERT INTO telemetry_devicegroup (name, path) SELECT 'bench-' || n, 'bench-' || n FROM generate_series(1, %(groups)s) n
ON CONFLICT (path) DO NOTHING
"""
_PLACE = """
UPDATE telemetry_device d SET group_id = g.id FROM telemetry_devicegroup g
WHERE d.name LIKE %(prefix)s AND g.path = 'bench-' || (1 + d.id %% %(groups)s)
"""
_COLUMNS = (
    "name, description, enabled, {scope}_id, all_devices, metric, condition, for_seconds, consecutive, "
    "clear_for_seconds, gap_policy, message"
)
_VALUES = "'', true, {scope}.id, false, m, 'above', 0, 1, 0, 'reset', ''"
_BY_GROUP = f"""
INSERT INTO thresholds_threshold ({_COLUMNS.format(scope="group")})
SELECT 'bench', {_VALUES.format(scope="g")} FROM telemetry_devicegroup g CROSS JOIN unnest(%(metrics)s::text[]) m
WHERE g.path LIKE 'bench-%%'
"""
_BY_DEVICE = f"""
INSERT INTO thresholds_threshold ({_COLUMNS.format(scope="device")})
SELECT 'bench ' || n, {_VALUES.format(scope="d")} FROM telemetry_device d CROSS JOIN unnest(%(metrics)s::text[]) m
CROSS JOIN generate_series(1, %(each)s) n WHERE d.name LIKE %(prefix)s
"""
_LEVELS = """
INSERT INTO thresholds_level (threshold_id, severity, trigger, clear)
SELECT id, 2, CASE WHEN name IN ('bench', 'bench 1') THEN %(limit)s ELSE %(never)s END, %(clear)s
FROM thresholds_threshold WHERE name LIKE 'bench%%'
"""
_BEHIND = """
SELECT count(*) FROM telemetry_shardposition p CROSS JOIN thresholds_rulesversion v
WHERE NOT EXISTS (SELECT 1 FROM thresholds_rulesinforce f
    WHERE f.shard = p.shard AND f.rules = v.rules AND f.placement = v.placement)
"""


@contextmanager
def active(connection: psycopg.Connection, fleet: Fleet, count: int) -> Iterator[None]:
    """So many thresholds over all series of a fleet: one a series up to one for each of its groups and metrics, else
    several a series, of which one is breached by BREACHING of the readings."""
    _make(connection, fleet, count)
    try:
        wait(connection)
        yield
    finally:
        remove(connection)


def remove(connection: psycopg.Connection) -> None:
    """All thresholds, and then their alerts."""
    connection.execute("DELETE FROM thresholds_level")
    connection.execute("DELETE FROM thresholds_threshold")
    wait(connection)
    while True:
        try:
            connection.execute("TRUNCATE alerts_alert, alerts_alertevent, thresholds_pairstate CASCADE")
            return
        except psycopg.errors.DeadlockDetected:  # with messages that are being made of the alerts just then
            continue


def _make(connection: psycopg.Connection, fleet: Fleet, count: int) -> None:
    groups = max(1, min(count, fleet.devices) // fleet.metrics)
    each = max(1, count // fleet.series)
    values = {
        "groups": groups,
        "each": each,
        "prefix": f"{fleet.prefix}-%",
        "metrics": list(fleet.metric_names()),
        "limit": LIMIT,
        "never": NEVER,
        "clear": LIMIT - 5,
    }
    if count:
        with connection.transaction():
            connection.execute(_GROUPS, values)
            connection.execute(_PLACE, values)
            connection.execute(_BY_DEVICE if count >= fleet.series else _BY_GROUP, values)
            connection.execute(_LEVELS, values)
        made = connection.execute("SELECT count(*) FROM thresholds_threshold").fetchone()
        if made != (count,):
            raise RuntimeError(f"{count} thresholds were wanted, {made} are there")


def wait(connection: psycopg.Connection) -> None:
    """Until every shard judges by the present rules: its sweep does that within seconds."""
    end = time.monotonic() + _PATIENCE
    while connection.execute(_BEHIND).fetchone() != (0,):
        if time.monotonic() > end:
            raise RuntimeError(f"the rules are not in force in every shard after {_PATIENCE} s")
        time.sleep(0.05)
