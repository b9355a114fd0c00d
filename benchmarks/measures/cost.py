"""COST: what one reading and one device cost, for sizing (`python -m benchmarks.sizing` makes the table of it).

A reading: CPU seconds of web, drain workers, worker, PostgreSQL and log server, by readings per POST, at full speed and
with a threshold on every series; what making its rollups takes; bytes in the log's file, in the log's memory while it
waits, in the database's write-ahead log, and on disk.
A device: rows in the database, memory of the log server and of each process that knows it, at five metrics a device.

For the bytes on disk readings stand a minute apart, for rollups take as much as raw readings where a minute has one.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import redis

from benchmarks import bodies
from benchmarks.bench import Bench, say
from benchmarks.fleet import Fleet
from benchmarks.load.requests import Load
from benchmarks.machine import history, memory, rules
from benchmarks.machine.cpu import Spent
from benchmarks.machine.platform import Access
from benchmarks.report import Result
from telemetry.log import keys
from telemetry.rollups.levels import LEVELS
from telemetry.timeseries.engine import TABLE, engine_in_use

ID = "COST"
WHAT = "CPU of all processes for 1,000 readings, 5 a POST"

FLEET = Fleet("cost", devices=4_000, metrics=5)
#: Readings per POST → posts. One and five carry the key of their device, the others that of a gateway.
POSTS = {1: 10_000, 5: 20_000, 100: 4_000, 1_000: 500}
_DEVICE_POSTS = 64
#: New connections may reach another process than the last time: after a few, every process knows every key.
_AWAKENINGS = 5
_IDLE_SECONDS = 10.0
#: Series and minutes of the rows whose bytes are taken.
_DISK_SERIES, _DISK_STEPS = 1_000, 1_440
_MINUTE_MS = 60_000
_MIB = 1 << 20

_TABLES = """
SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT c.relispartition AND c.relname <> ALL(%s)
"""
_IDS = """
SELECT s.id FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id WHERE d.name LIKE %s
ORDER BY s.id LIMIT %s
"""


def measure(bench: Bench) -> Result:
    client = redis.Redis.from_url(bench.ground.environment["REDIS_URL"])
    # Its file would be rewritten, and shrink, in the middle of a run whose growth of it is counted.
    client.config_set("auto-aof-rewrite-percentage", 0)
    say(f"  COST: {FLEET.devices:,} devices")
    held, tables = _held(bench), _tables(bench)
    access = bench.platform.provision(FLEET.prefix, FLEET.devices, FLEET.devices)
    # Thresholds first: whoever places devices in groups makes every process forget them.
    with rules.active(bench.store.connection, FLEET, FLEET.metrics):
        bench.warm_up(FLEET)
        for _ in range(_AWAKENINGS):
            bench.way(_load(bench, access, FLEET.metrics, FLEET.devices))
        device = _device(bench, client, held, tables)
        say("  COST: a reading")
        idle = _idle(bench)
        reading = {str(size): _reading(bench, client, access, size, idle) for size in POSTS}
        waiting = _waiting(bench, client, access)
    say("  COST: a reading on disk")
    disk = _disk(bench)
    detail = {
        "device": device,
        "reading_by_size": reading,
        "waiting_bytes_per_reading": waiting,
        "idle_cores": idle,
        "disk": disk,
        "engine": bench.engine,
        "devices": FLEET.devices,
        "series": FLEET.series,
        "web_processes": bench.ground.config.web_processes,
        "drain_workers": bench.ground.config.drain_workers,
    }
    total = sum(reading["5"]["cpu_ms_per_1000"].values())
    return Result(ID, WHAT, round(total, 1), None, round(total, 1), "ms", detail, lower_is_better=True)


# --- a device ---------------------------------------------------------------------------------------------------------


def _device(bench: Bench, client: redis.Redis, held: Mapping[str, float], tables: Mapping[str, int]) -> dict[str, Any]:
    """What the fleet has added to what was `held` (MiB by kind) and in the `tables` (bytes), divided by its devices."""
    now = _held(bench)
    grown = {name: size - tables.get(name, 0) for name, size in _tables(bench).items()}
    counts = {"web": bench.ground.config.web_processes, "drain": bench.ground.config.drain_workers}
    return {
        "process_bytes": {
            kind: round((now[kind] - held[kind]) * _MIB / FLEET.devices / count) for kind, count in counts.items()
        },
        "fixed_process_mib": {kind: round(held[kind] / counts.get(kind, 1)) for kind in held},
        "database_bytes": round(sum(grown.values()) / FLEET.devices),
        "database_bytes_by_table": {
            name: round(size / FLEET.devices) for name, size in sorted(grown.items()) if size > FLEET.devices
        },
        "last_seen_bytes": _last_seen(client),
    }


def _held(bench: Bench) -> dict[str, float]:
    """MiB (PSS) by kind of process."""
    return {kind: memory.of(members).pss for kind, members in bench.platform.families().items()}


def _tables(bench: Bench) -> dict[str, int]:
    without = [TABLE, *(level.table for level in LEVELS)]
    return dict(bench.store.connection.execute(_TABLES, [without]).fetchall())


def _last_seen(client: redis.Redis) -> float:
    """Bytes of the log server's memory for one device's newest arrival, on a hash like that of keys.LAST_SEEN."""
    name = f"bench:{keys.LAST_SEEN}"
    client.hset(name, mapping={str(number): 1_700_000_000_000_000 + number for number in range(FLEET.devices)})
    try:
        return round(int(client.memory_usage(name, samples=0) or 0) / FLEET.devices, 1)
    finally:
        client.delete(name)


# --- a reading --------------------------------------------------------------------------------------------------------


def _reading(bench: Bench, client: redis.Redis, access: Access, size: int, idle: Mapping[str, float]) -> dict[str, Any]:
    """What a full-speed run with bodies of that size cost beyond what goes on anyway."""
    load = _load(bench, access, size, POSTS[size])
    _forget(bench)
    before = _written(bench, client)
    with Spent(lambda: _kinds(bench)) as cpu:
        way = bench.way(load)
    after = _written(bench, client)
    thousands = load.readings / 1000
    return {
        "cpu_ms_per_1000": {kind: round(seconds * 1000 / thousands, 2) for kind, seconds in cpu.beyond(idle).items()},
        "bytes_per_reading": {name: round((after[name] - before[name]) / load.readings, 1) for name in after},
        "readings_per_second": round(way.rate),
    }


def _idle(bench: Bench) -> dict[str, float]:
    """Cores that each kind of process takes while nobody sends."""
    _forget(bench)
    with Spent(lambda: _kinds(bench)) as cpu:
        time.sleep(_IDLE_SECONDS)
    return {kind: round(seconds / cpu.took, 3) for kind, seconds in cpu.spent.items()}


def _forget(bench: Bench) -> None:
    """No reading, and no rollup to make of those that there were: it would be made in the middle of what follows."""
    bench.store.empty()
    bench.store.connection.execute("TRUNCATE telemetry_rollupmark")


def _waiting(bench: Bench, client: redis.Redis, access: Access) -> float:
    """Bytes of the log server's memory for a reading that waits, in entries of five."""
    load = _load(bench, access, 5, POSTS[5])
    committed = bench.store.committed()
    bench.platform.stop_drains()
    try:
        before = client.info("memory")["used_memory"]
        bench.send(load)
        grown = client.info("memory")["used_memory"] - before
    finally:
        bench.platform.start_drains()
    bench.store.wait_for(committed + load.readings)
    return round(grown / load.readings, 1)


def _load(bench: Bench, access: Access, size: int, posts: int) -> Load:
    """Five metrics of a device a POST with its key, or one of them; or what a gateway gathered."""
    if size > FLEET.metrics:
        return bench.load(bodies.all_metrics, size, size * posts, fleet=FLEET)
    fleet = Fleet(FLEET.prefix, FLEET.devices, metrics=size)

    def key(connection: int, post: int) -> str:
        block = bodies.Share(fleet, connection, _DEVICE_POSTS, size, 1, 0).block(fleet.devices)
        return access.device_keys[block[post % len(block)]]

    return bench.load(bodies.all_metrics, size, size * posts, _DEVICE_POSTS, fleet, key)


def _kinds(bench: Bench) -> dict[str, Any]:
    return {**bench.platform.families(), **bench.ground.servers()}


def _written(bench: Bench, client: redis.Redis) -> dict[str, int]:
    """Bytes that the log's file and the database's write-ahead log have grown to."""
    row = bench.store.connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    return {"log_file": int(client.info("persistence")["aof_current_size"]), "wal": int(row[0])}


# --- a reading on disk ------------------------------------------------------------------------------------------------


def _disk(bench: Bench) -> dict[str, Any]:
    """Bytes of a raw reading and of a row of each level of rollups; the CPU time of making them."""
    store, connection = bench.store, bench.store.connection
    tables = [TABLE, "telemetry_rollupmark", *(level.table for level in LEVELS)]
    connection.execute(f"TRUNCATE {', '.join(tables)}")
    found = connection.execute(_IDS, [f"{FLEET.prefix}-%", _DISK_SERIES]).fetchall()
    end = bench.clock.take(0) // 86_400_000 * 86_400_000
    series = np.array(found, np.int32).ravel()
    written = history.fill(bench.ground, store, series, end - _DISK_STEPS * _MINUTE_MS, _DISK_STEPS, _MINUTE_MS)
    store.must_have(written)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Spent(bench.ground.servers) as cpu:
        history.roll_up(bench.platform, store, end)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    making = ended.ru_utime + ended.ru_stime - children.ru_utime - children.ru_stime
    sizes = {"raw": store.bytes_of(TABLE) / written}
    sizes |= {level.name: store.bytes_of(level.table) / max(1, store.count(level.table)) for level in LEVELS}
    said = {
        "rows": written,
        "bytes_per_row": {name: round(size, 1) for name, size in sizes.items()},
        "rollup_cpu_ms_per_1000": {
            "worker": round(making * 1e6 / written, 2),
            "postgres": round(cpu.spent.get("postgres", 0.0) * 1e6 / written, 2),
        },
    }
    if bench.engine == "timescale":
        with connection.cursor() as cursor:
            for table in (TABLE, *(level.table for level in LEVELS)):
                engine_in_use(cursor).compress_before(cursor, (end + 1) * 1000, table)
        compressed = {"raw": store.bytes_of(TABLE) / written}
        compressed |= {level.name: store.bytes_of(level.table) / max(1, store.count(level.table)) for level in LEVELS}
        said["compressed_bytes_per_row"] = {name: round(size, 1) for name, size in compressed.items()}
    connection.execute(f"TRUNCATE {', '.join(tables)}")
    return said
