"""The sizing is proportion: what was measured of one reading and one device, times how many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.sizing import ASSUMED, FLEETS, size, table

MIB = 1 << 20


def cost(**disk: Any) -> dict[str, Any]:
    spent = {"web": 600.0, "drain": 120.0, "worker": 0.0, "beat": 0.0, "postgres": 60.0, "log": 12.0}
    return {
        "reading_by_size": {
            "5": {"cpu_ms_per_1000": spent, "bytes_per_reading": {"log_file": 30.0, "wal": 100.0}},
        },
        "waiting_bytes_per_reading": 50.0,
        "idle_cores": {"beat": 0.01, "postgres": 0.02},
        "device": {
            "process_bytes": {"web": 2_000, "drain": 100},
            "fixed_process_mib": {"web": 100, "drain": 90, "worker": 80, "beat": 70},
            "database_bytes": 1_500,
            "last_seen_bytes": 60.0,
        },
        "disk": {
            "bytes_per_row": {"raw": 100.0, "minute": 120.0, "hour": 200.0, "day": 300.0},
            "rollup_cpu_ms_per_1000": {"worker": 12.0, "postgres": 24.0},
            **disk,
        },
    }


def test_readings_and_cores_grow_with_the_fleet() -> None:
    small, large = size(cost(), 12_000), size(cost(), 120_000)
    assert (small.posts_per_second, small.readings_per_second) == (200, 1_000)
    assert small.cores["web"] == pytest.approx(0.6)
    assert small.cores["worker"] == pytest.approx(0.012)
    assert small.cores["postgres"] == pytest.approx(0.06 + 0.024 + 0.02)
    assert large.cores["web"] == pytest.approx(6.0)
    assert large.cores["beat"] == small.cores["beat"] == 0.01  # beats whoever sends


def test_processes_are_planned_half_busy_and_there_are_two_of_each() -> None:
    small, large = size(cost(), 12_000), size(cost(), 120_000)
    assert (small.web_processes, small.drain_workers, small.shards) == (2, 2, 4)
    assert (large.web_processes, large.drain_workers, large.shards) == (12, 3, 8)
    assert large.shards >= 2 * large.drain_workers
    assert size(cost(), 120_000, replace(ASSUMED, busy=0.25)).web_processes == 24


def test_bytes_of_a_year() -> None:
    year = size(cost(), 12_000)
    readings = 1_000 * 86_400 * 365
    assert year.disk_year["raw"] == readings * 100
    assert year.disk_year["minutes"] == readings * 120  # with one reading a minute a minute is a row a reading
    assert year.disk_year["hours"] == pytest.approx(readings / 60 * 200)
    assert year.disk_year["days"] == pytest.approx(readings / 1_440 * 300)
    assert year.raw_compressed_year == readings * ASSUMED.compressed_bytes
    assert size(cost(compressed_bytes_per_row={"raw": 8.0}), 12_000).raw_compressed_year == readings * 8


def test_slower_fleets_have_no_more_minutes_than_readings() -> None:
    slow = size(cost(), 12_000, replace(ASSUMED, seconds=600.0))
    assert slow.disk_year["minutes"] == pytest.approx(12_000 * 5 * 365 * 144 * 120)
    assert slow.disk_year["hours"] == pytest.approx(12_000 * 5 * 365 * 24 * 200)


def test_a_partition_stays_in_memory() -> None:
    assert [size(cost(), devices).partition_days for devices in (1_000, 60_000, 1_000_000)] == [30, 1, 1]
    assert size(cost(), 12_000).partition_days == 7  # 8.64 GB a day


def test_memory_holds_an_hour_without_database() -> None:
    needs = size(cost(), 12_000).memory
    assert needs["log server"] == 60 * 12_000 + 1_000 * 3_600 * 50
    assert needs["platform"] == 2 * (100 * MIB + 2_000 * 12_000) + 2 * (90 * MIB + 100 * 12_000) + 150 * MIB


def test_a_log_server_beyond_its_one_thread_is_said_so() -> None:
    rows = {row[0]: row[1:] for row in table([size(cost(), devices) for devices in FLEETS])}
    assert rows["readings a second"] == ["833", "8,333", "83,333"]
    assert rows["cores to have: log server"][:2] == ["2", "2"]
    busy = cost()
    busy["reading_by_size"]["5"]["cpu_ms_per_1000"]["log"] = 20.0
    assert table([size(busy, 1_000_000)])[0] == ["", "1,000,000 devices"]
    assert "4 log servers: see below" in {row[1] for row in table([size(busy, 1_000_000)])}
