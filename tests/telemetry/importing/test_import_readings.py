"""`manage.py import_readings` against a running platform: everything in the file is stored once, or said to be not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from iotplatform.env import BASE_DIR
from telemetry.log import keys
from tests.live import LivePlatform
from tests.telemetry.importing.reading_files import NAB, written

MACHINE = NAB / "machine_temperature_system_failure.csv"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePlatform]:
    """Everything but web and simulator: an import needs the servers and the workers alone."""
    folder = tmp_path_factory.mktemp("import")
    with LivePlatform(folder, run={"drain1", "drain2", "worker", "beat"}) as platform:
        yield platform


class Imported:
    """One run of the command: its exit code, what it said, and the counts of its summary."""

    def __init__(self, platform: LivePlatform, *arguments: object, **settings: str) -> None:
        line = [sys.executable, str(BASE_DIR / "manage.py"), "import_readings", *map(str, arguments)]
        environment = platform.environment | settings
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
        self.code, self.said = done.returncode, done.stderr
        self.summary = done.stdout
        counts = re.findall(r"^([a-z ]+):\s+([\d,]+)", done.stdout, re.MULTILINE)
        self.counts = {name: int(number.replace(",", "")) for name, number in counts}

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.summary}\n{self.said}"


def stored(platform: LivePlatform, device: str) -> list[tuple[str, float]]:
    """(metric, value) of every stored reading of a device, in order of time."""
    with platform.database() as connection:
        rows = connection.execute(
            "SELECT s.metric, r.value FROM telemetry_reading r JOIN telemetry_series s ON s.id = r.series_id "
            "JOIN telemetry_device d ON d.id = s.device_id WHERE d.name = %s ORDER BY r.time, s.metric",
            [device],
        ).fetchall()
    return [(metric, value) for metric, value in rows]


def test_a_real_file_is_stored_once_however_often_it_is_imported(platform: LivePlatform) -> None:
    first = Imported(platform, MACHINE, "--device", "machine", "--metric", "temperature")
    assert first.code == 0, first
    assert first.counts == {"stored": 22_683, "duplicates": 12, "rejected": 0}
    assert "conflicts: 12" in first.summary
    assert "device machine is new" in first.said
    again = Imported(platform, MACHINE, "--device", "machine", "--metric", "temperature")
    assert again.code == 0, again
    assert again.counts == {"stored": 0, "duplicates": 22_695, "rejected": 0}
    values = [value for _, value in stored(platform, "machine")]
    assert len(values) == 22_683
    assert (min(values), max(values)) == (pytest.approx(2.0847, abs=1e-4), pytest.approx(108.5105, abs=1e-4))


def test_what_is_rejected_is_named_by_its_line_and_waits_in_quarantine(platform: LivePlatform, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "time;temp;open\n2026-10-25 01:00;21,5;true\n2026-10-25 01:05;warm;false\nyesterday;1;true\n"
        "2026-10-25 01:15;;true\n2026-10-25 01:20;1e200;true\n9999-01-01 00:00;5;true\n",
    )
    result = Imported(platform, path, "--device", "mixed", "--zone", "Europe/Berlin")
    assert result.code == 1, result
    assert result.counts == {"stored": 5, "duplicates": 0, "rejected": 6, "empty cells": 1}
    for line, code in ((3, "invalid_value"), (4, "invalid_time"), (6, "invalid_value"), (7, "too_far_in_future")):
        assert f"line {line}: {code}: " in result.summary
    assert stored(platform, "mixed") == [
        ("open", 1.0),
        ("temp", 21.5),
        ("open", 0.0),
        ("open", 1.0),
        ("open", 1.0),
    ]
    with platform.database() as connection:
        quarantined = connection.execute(
            "SELECT code, payload FROM telemetry_quarantinedreading WHERE device = 'mixed'"
        ).fetchall()
        boolean = connection.execute(
            "SELECT s.metric FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id "
            "WHERE d.name = 'mixed' AND s.boolean"
        ).fetchall()
    assert (
        "invalid_value",
        '{"device": "mixed", "time": "2026-10-25 01:05", "metrics": {"temp": "warm"}}',
    ) in quarantined
    assert boolean == [("open",)]


def test_a_log_that_is_full_slows_the_import_down_and_loses_nothing(platform: LivePlatform) -> None:
    result = Imported(platform, MACHINE, "--device", "slow", "--value-column", "value", LOG_MAX_BYTES="65536")
    assert result.code == 0, result
    assert result.counts == {"stored": 22_683, "duplicates": 12, "rejected": 0}


def test_without_a_worker_it_says_so_and_what_it_sent_is_stored_later(platform: LivePlatform, tmp_path: Path) -> None:
    path = written(tmp_path, "time,value\n2026-11-01 00:00:00,1\n2026-11-01 00:01:00,2\n")
    for name in ("drain1", "drain2"):
        platform.stop(name)
        platform.redis().delete(keys.worker(name))
    try:
        result = Imported(platform, path, "--device", "patient", "--patience", 1)
        assert result.code == 1, result
        assert result.counts["pending"] == 2
        assert "no worker is running" in result.said
        assert "Traceback" not in result.said
    finally:
        for name in ("drain1", "drain2"):
            platform.restart(name)
    platform.wait_until(lambda: len(stored(platform, "patient")) == 2, what="stored by a later worker")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.csv", "--device", "d"], "No such file"),
        ([MACHINE, "--device", "a/b"], "no slash"),
        ([MACHINE, "--device", "d", "--zone", "Mars/Olympus"], "is not a time zone"),
        ([MACHINE, "--device", "d", "--time-column", "when"], "there is no column 'when'"),
        ([MACHINE, "--device", "d", "--metric", "m/s"], "cannot name a metric"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(platform: LivePlatform, arguments: list[object], says: str) -> None:
    result = Imported(platform, *arguments)
    assert result.code != 0
    assert says in result.said
    assert len(result.said.strip().splitlines()) == 1
    assert result.summary == ""
