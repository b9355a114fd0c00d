"""How large a platform for so many devices has to be, computed from what COST measured. Pure: figures in, figures out.

The arithmetic is that of proportion: so many readings a second times what one costs. What that leaves out stands in
docs/scaling.md beside the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ASSUMED", "FLEETS", "Assumed", "Sizing", "size", "table"]

FLEETS = (10_000, 100_000, 1_000_000)
_DAY_SECONDS, _YEAR_DAYS = 86_400, 365
_GIB = 1 << 30
_PARTITIONS_DAYS = (30, 7, 1)
#: Rows a year that a series has in each level of rollups, where it never pauses.
_ROLLUP_ROWS = {"minute": _YEAR_DAYS * 1_440, "hour": _YEAR_DAYS * 24, "day": _YEAR_DAYS}


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the fleet does and how full a machine may be."""

    #: Readings in each POST of a device, one of every metric, and seconds between its POSTs (60 or more).
    readings: int = 5
    seconds: float = 60.0
    #: The share of a core, or of a process that has one thread, that is planned with.
    busy: float = 0.5
    #: How long the log must hold what comes in while the database is away.
    outage_seconds: float = 3_600.0
    #: Of one partition with its index, so that the newest one stays in memory.
    partition_bytes: float = 64 * _GIB
    #: Bytes of a raw reading compressed by TimescaleDB, where this run did not measure it.
    compressed_bytes: float = 10.0


ASSUMED = Assumed()


@dataclass(frozen=True, slots=True)
class Sizing:
    """What so many devices need. `cores` are cores that are really busy, by kind of process; all sizes are bytes."""

    devices: int
    posts_per_second: float
    readings_per_second: float
    cores: Mapping[str, float]
    web_processes: int
    drain_workers: int
    shards: int
    #: Cores to buy: for the platform's processes, the database, the log server.
    machine_cores: Mapping[str, int]
    log_busy: float
    partition_days: int
    memory: Mapping[str, float]
    disk_year: Mapping[str, float]
    raw_compressed_year: float
    wal_day: float
    log_bytes_per_second: float


def size(cost: Mapping[str, Any], devices: int, assumed: Assumed = ASSUMED) -> Sizing:
    """From the `detail` of COST. Raises KeyError where it has no run with so many readings a POST."""
    run, device, disk = cost["reading_by_size"][str(assumed.readings)], cost["device"], cost["disk"]
    posts = devices / assumed.seconds
    readings = posts * assumed.readings
    cores = _cores(run, disk, cost["idle_cores"], readings)
    web, drains = _processes(cores["web"], assumed), _processes(cores["drain"], assumed)
    raw_day = readings * _DAY_SECONDS * disk["bytes_per_row"]["raw"]
    waiting = readings * assumed.outage_seconds * cost["waiting_bytes_per_reading"]
    compressed = disk.get("compressed_bytes_per_row", {}).get("raw", assumed.compressed_bytes)
    fixed, growing = device["fixed_process_mib"], device["process_bytes"]
    others = sum(fixed.get(kind, 0) for kind in ("worker", "beat"))
    return Sizing(
        devices=devices,
        posts_per_second=posts,
        readings_per_second=readings,
        cores=cores,
        web_processes=web,
        drain_workers=drains,
        shards=max(4, 1 << math.ceil(math.log2(2 * drains))),
        machine_cores={
            "platform": _bought(sum(cores[kind] for kind in ("web", "drain", "worker", "beat")), assumed),
            "database": _bought(cores["postgres"], assumed),
            "log server": _bought(cores["log"], assumed),
        },
        log_busy=cores["log"],
        partition_days=next((days for days in _PARTITIONS_DAYS if days * raw_day <= assumed.partition_bytes), 1),
        memory={
            "platform": sum(
                count * ((fixed[kind] << 20) + growing[kind] * devices)
                for kind, count in (("web", web), ("drain", drains))
            )
            + (others << 20),
            "log server": device["last_seen_bytes"] * devices + waiting,
        },
        disk_year={
            "raw": raw_day * _YEAR_DAYS,
            **{
                f"{level}s": devices * assumed.readings * _rows(level, assumed) * disk["bytes_per_row"][level]
                for level in _ROLLUP_ROWS
            },
            "devices": device["database_bytes"] * devices,
        },
        raw_compressed_year=readings * _DAY_SECONDS * _YEAR_DAYS * compressed,
        wal_day=readings * _DAY_SECONDS * run["bytes_per_reading"]["wal"],
        log_bytes_per_second=readings * run["bytes_per_reading"]["log_file"],
    )


def table(sizings: list[Sizing]) -> list[list[str]]:
    """Rows of text, the first one the heads: one column for each size of fleet."""
    rows = [["", *(f"{each.devices:,} devices" for each in sizings)]]

    def add(name: str, *cells: str) -> None:
        rows.append([name, *cells])

    add("POSTs a second", *(f"{each.posts_per_second:,.0f}" for each in sizings))
    add("readings a second", *(f"{each.readings_per_second:,.0f}" for each in sizings))
    for kind, name in _KINDS.items():
        add(f"cores busy: {name}", *(f"{each.cores[kind]:.2f}" for each in sizings))
    for name in ("web_processes", "drain_workers", "shards", "partition_days"):
        add(f"`{name.upper()}`", *(str(getattr(each, name)) for each in sizings))
    for name in ("platform", "database", "log server"):
        add(f"cores to have: {name}", *(_cores_to_have(each, name) for each in sizings))
    for name in ("platform", "log server"):
        add(f"memory: {name}", *(_bytes(each.memory[name]) for each in sizings))
    add("disk a year: raw readings", *(_bytes(each.disk_year["raw"]) for each in sizings))
    add("… compressed by TimescaleDB (paper)", *(_bytes(each.raw_compressed_year) for each in sizings))
    for level in ("minutes", "hours", "days"):
        add(f"disk a year: rollups, {level}", *(_bytes(each.disk_year[level]) for each in sizings))
    add("disk: devices, keys, series", *(_bytes(each.disk_year["devices"]) for each in sizings))
    add("write-ahead log a day", *(_bytes(each.wal_day) for each in sizings))
    add("log server writes a second", *(_bytes(each.log_bytes_per_second) for each in sizings))
    return rows


_KINDS = {
    "web": "web",
    "drain": "drain workers",
    "worker": "worker, with rollups",
    "beat": "beat",
    "postgres": "PostgreSQL",
    "log": "log server",
}


def _cores(
    run: Mapping[str, Any], disk: Mapping[str, Any], idle: Mapping[str, float], readings: float
) -> dict[str, float]:
    """Busy cores by kind: those of the readings, of their rollups, and of what goes on anyway."""
    cores = {kind: readings * run["cpu_ms_per_1000"].get(kind, 0.0) / 1e6 + idle.get(kind, 0.0) for kind in _KINDS}
    for kind, milliseconds in disk["rollup_cpu_ms_per_1000"].items():
        cores[kind] += readings * milliseconds / 1e6
    return cores


def _processes(cores: float, assumed: Assumed) -> int:
    """Processes of one core each; two at least, so that one may go away."""
    return max(2, math.ceil(cores / assumed.busy))


def _bought(cores: float, assumed: Assumed) -> int:
    """Cores to have: an even number."""
    return max(2, 2 * math.ceil(cores / assumed.busy / 2))


def _rows(level: str, assumed: Assumed) -> float:
    """Rows of a level that a series has in a year; no more than it has readings."""
    return min(_ROLLUP_ROWS[level], _YEAR_DAYS * _DAY_SECONDS / assumed.seconds)


def _cores_to_have(sizing: Sizing, name: str) -> str:
    """The log server has one thread: one that would be busier than a core can be is no question of cores."""
    if name == "log server" and sizing.log_busy > 1:
        return f"{math.ceil(sizing.log_busy / ASSUMED.busy)} log servers: see below"
    return str(sizing.machine_cores[name])


def _bytes(count: float) -> str:
    """Such as "3.1 GB", in powers of 1,000, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:,.0f} {unit}" if count >= 100 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")
