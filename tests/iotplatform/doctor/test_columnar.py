"""What the doctor says of columnar landing: on every server something, and where it is not as it could be, how to mend it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from iotplatform.doctor import columnar
from iotplatform.doctor.columnar import check_columnar
from iotplatform.doctor.database import check_readings_table
from iotplatform.doctor.findings import Finding
from iotplatform.env import config
from telemetry.database import connect
from telemetry.timeseries.engine import engine_in_use
from tests.telemetry.columnar import DAY, land, skip_unless_columnar

pytestmark = pytest.mark.usefixtures("platform_db")


@pytest.fixture
def db(platform_db: None) -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as connection:
        skip_unless_columnar(connection)
        yield connection


def found(tmp_path: Path, about: str = "columnar", **changes: object) -> Finding:
    """The worst finding about that."""
    quiet = replace(config, multiprocess_metrics_dir=str(tmp_path / "none"), **changes)  # type: ignore[arg-type]
    findings = [finding for finding in check_columnar(quiet) if finding.about == about]
    return min(findings, key=lambda finding: ("fail", "warn", "ok").index(finding.level))


def test_every_server_is_told_what_it_has(tmp_path: Path) -> None:
    with connect(autocommit=True) as connection, connection.cursor() as cursor:
        engine = engine_in_use(cursor)
    said = found(tmp_path)
    if engine.name == "partitions":
        assert said.level == "ok" and "TimescaleDB alone" in said.text
    assert said.level == "ok" or said.mend


def test_the_days_after_which_chunks_are_compressed_are_said_of_what_they_are_about(db: psycopg.Connection) -> None:
    """Readings in columns are compressed as they land: what is left for those days are the rollups."""
    (engine,) = [finding for finding in check_readings_table(config) if finding.about == "engine"]
    assert "readings in columns, rollups compressed after 14 days" in engine.text


def test_columns_are_well_and_the_switch_against_them_is_not(db: psycopg.Connection, tmp_path: Path) -> None:
    assert found(tmp_path).level == "ok"
    off = found(tmp_path, timeseries_columnar="off")
    assert off.level == "warn" and "TIMESERIES_COLUMNAR=auto" in off.mend


@pytest.mark.parametrize(
    "reason",
    [
        "TimescaleDB is 2.27.0; from 2.28.1 on COPY into the columnstore checks NOT NULL and CHECK.",
        "timescaledb.license is apache: the columnstore needs the licence 'timescale'.",
    ],
)
def test_a_server_that_cannot_be_trusted_with_it(
    db: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr(columnar, "unsound", lambda _: reason)
    said = found(tmp_path)
    assert said.level == "warn" and reason in said.text


def test_the_unique_index_that_is_still_there(
    db: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("columnar", "off", verbosity=0)
    try:
        said = found(tmp_path)
        assert said.level == "warn" and "manage.py columnar on" in said.mend
        assert found(tmp_path, timeseries_columnar="off").level == "ok"
        monkeypatch.setattr(columnar, "unsound", lambda _: "It is old.")
        assert "It is old." in found(tmp_path).text
    finally:
        call_command("columnar", "on", verbosity=0)


def test_sorting_that_does_not_keep_up(db: psycopg.Connection, tmp_path: Path) -> None:
    now = int(time.time() * 1e6)
    land(db, 300, now)
    for weeks in range(1, 7):
        assert found(tmp_path, "compaction").level == "ok"
        land(db, 300, now - weeks * 14 * DAY)
    said = found(tmp_path, "compaction")
    assert said.level == "warn" and "6 of them are due" in said.text
    assert found(tmp_path, "compaction", compact_after_minutes=100_000).level == "ok"


def test_more_chunks_than_locks(db: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land(db, 300, int(time.time() * 1e6))
    monkeypatch.setattr(columnar, "_LOCKS_A_CHUNK", 10**9)
    said = found(tmp_path, "compaction")
    assert said.level == "warn" and "max_locks_per_transaction" in said.mend
