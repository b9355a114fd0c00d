"""What the measurements of queries ask about: a store that is full, with its rollups made.

Half of the rows are a year of few devices that speak often, the other half a day and a half of a thousand devices, which
are one group. Besides, every series of the headline fleet has one reading, so that each of them has a latest value. The
rows go past the platform straight into its table, with the marks that a drain would leave; its own command rolls them up.

Where the platform lands columns, they are landed too, in chunks as wide as its upkeep makes them for so many a second. The
history ends where a chunk does: the newest is full and as drains landed it, just before it would be sorted, which is when
questions about it cost most. All before it are sorted.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks import rows
from benchmarks.fleet import FLEET, METRICS, Fleet
from benchmarks.load.result import LostReading
from benchmarks.machine.ground import Ground
from benchmarks.machine.platform import Platform
from benchmarks.machine.store import Store
from iotplatform.env import BASE_DIR
from iotplatform.launcher.command import Command
from telemetry.rollups.again import mark_range
from telemetry.rollups.levels import LEVELS
from telemetry.timeseries.compaction import compact
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import engine_in_use
from telemetry.timeseries.widths import choose
from telemetry.timeseries.widths import width as width_now

__all__ = ["CROWD", "CROWD_GROUP", "METRIC", "YEARS", "History", "build", "fill", "roll_up", "sort_landed"]

METRIC = METRICS[0]
YEARS = Fleet("year", devices=20, metrics=1)
CROWD = Fleet("crowd", devices=1_000, metrics=1)
CROWD_GROUP = "crowd"
YEAR_DAYS, CROWD_DAYS = 400, 1.65
_CROWD_SHARE = 0.5
_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
#: Later than any event time (µs since 1970).
_EVER = 1 << 62
#: The platform's own upkeep (telemetry.compaction) takes the same lock: two at one chunk are in each other's way.
_ALONE = "SELECT pg_advisory_lock(hashtextextended('telemetry.compaction', 0))"
#: A writer may be kept waiting so long: nobody else writes then.
_PATIENCE_SECONDS = 60.0

_SERIES = """
INSERT INTO telemetry_series (device_id, metric) SELECT id, %s FROM telemetry_device WHERE name LIKE %s
ON CONFLICT DO NOTHING
"""
_GROUP = """
WITH made AS (INSERT INTO telemetry_devicegroup (name, path) VALUES (%(path)s, %(path)s) RETURNING id)
UPDATE telemetry_device SET group_id = made.id FROM made WHERE telemetry_device.name LIKE %(prefix)s
"""
_IDS = """
SELECT s.id FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id WHERE d.name LIKE %s ORDER BY s.id
"""


@dataclass(frozen=True, slots=True)
class History:
    """What is stored: `rows` readings, all before `end` (ms since 1970)."""

    rows: int
    end: int


def build(ground: Ground, platform: Platform, store: Store, before: int, wanted: int) -> History:
    """Throw away what is stored and store about `wanted` readings instead, some time before `before` (ms since 1970). Raises
    LostReading unless the table has exactly what was written."""
    connection = store.connection
    tables = ", ".join(["telemetry_reading", "telemetry_rollupmark", *(level.table for level in LEVELS)])
    connection.execute(f"TRUNCATE {tables}")
    for fleet in (YEARS, CROWD):
        platform.provision(fleet.prefix, fleet.devices)
        connection.execute(_SERIES, [METRIC, f"{fleet.prefix}-%"])
    end = before - before % _chunk_ms(ground, store, wanted)
    connection.execute(_GROUP, {"path": CROWD_GROUP, "prefix": f"{CROWD.prefix}-%"})
    written = 0
    for fleet, days, share in (
        (YEARS, YEAR_DAYS, 1 - _CROWD_SHARE),
        (CROWD, CROWD_DAYS, _CROWD_SHARE),
        (FLEET, 0.0, 0.0),
    ):
        series = np.array(connection.execute(_IDS, [f"{fleet.prefix}-%"]).fetchall(), np.int32).ravel()
        steps = max(1, round(wanted * share / len(series)))
        step_ms = max(1, round(days * _DAY_MS / steps))
        written += fill(ground, store, series, end - steps * step_ms, steps, step_ms)
    sort_landed(ground, store, end * 1000 - 1)
    store.settle()
    store.must_have(written)
    connection.execute("ANALYZE")
    roll_up(platform, store, end)
    connection.execute("VACUUM ANALYZE")
    store.settle()
    rolled = connection.execute("SELECT sum(count) FROM telemetry_rollup_hour").fetchone()
    if rolled is None or rolled[0] != written:
        raise LostReading(f"{written} readings are stored, the hours tell of {rolled}")
    return History(written, end)


def _chunk_ms(ground: Ground, store: Store, wanted: int) -> int:
    """Make coming chunks as wide as upkeep would while the history's last days come; an hour where nothing is landed."""
    with store.connection.cursor() as cursor:
        if engine_in_use(cursor).refuses_repeats:
            return _HOUR_MS
        config, a_second = ground.config, wanted * _CROWD_SHARE / (CROWD_DAYS * 86_400)
        width = choose(width_now(cursor), a_second, config.columnar_chunk_rows, config.partition_days, 0)
        cursor.execute("SELECT set_chunk_time_interval('telemetry_reading', make_interval(secs => %s))", [width / 1e6])
    return width // 1000


def roll_up(platform: Platform, store: Store, end: int) -> None:
    """Make the rollups of everything before `end` (ms since 1970)."""
    every = [row[0] for row in store.connection.execute("SELECT id FROM telemetry_series ORDER BY id")]
    mark_range(store.connection, every, 0, end * 1000)
    argv = (sys.executable, str(BASE_DIR / "manage.py"), "refresh_rollups")
    platform.run(Command("refresh_rollups", argv))


def fill(ground: Ground, store: Store, series: NDArray[np.int32], start: int, steps: int, step_ms: int) -> int:
    """Store past the platform: one reading of each series every `step_ms`; over two connections, as R0 does."""
    with store.connection.cursor() as cursor:
        engine = engine_in_use(cursor)
        times = np.arange(start, start + steps * step_ms + _DAY_MS, _DAY_MS, np.int64) * 1000
        Coverage(engine, ground.config.partition_days).ensure(cursor, times)
    landed = not engine.refuses_repeats
    halves = np.array_split(series, 2)
    errors: list[BaseException] = []

    def write(half: NDArray[np.int32]) -> None:
        try:
            with psycopg.connect(ground.database.url, autocommit=True) as connection:
                bodies = rows.statements(half, start, steps * len(half), step_ms, landed=landed)
                rows.copy_all(connection, "telemetry_reading", bodies, landed=landed)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(half,)) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return steps * len(series)


def sort_landed(ground: Ground, store: Store, before: int = _EVER) -> None:
    """Sort the landed chunks, all or those that end before a time (µs since 1970). Raises RuntimeError where one resists."""

    def connect() -> psycopg.Connection:
        return psycopg.connect(ground.database.url, autocommit=True)

    with connect() as alone, alone.cursor() as cursor:
        cursor.execute(_ALONE)
        for chunk in engine_in_use(cursor).unsorted(cursor, before):
            outcome = compact(connect, chunk, _PATIENCE_SECONDS)
            if outcome != "done":
                raise RuntimeError(f"{chunk.table} could not be sorted: {outcome}")
