"""`manage.py refresh_rollups`."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from telemetry.rollups.levels import HOUR as HOURS
from telemetry.rollups.levels import MINUTE as MINUTES
from tests.builders import drain_all, make_device, make_key, post_readings
from tests.telemetry.rollups.readings import DAY, HOUR, MINUTE, START, assert_rolled_up, rolled


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("refresh_rollups", *arguments, stdout=said, stderr=StringIO())
    return said.getvalue()


@pytest.fixture
def two_devices(platform_db: None) -> None:
    for name in ("pump-7", "pump-8"):
        key = make_key(make_device(name), backfill=True)
        rows = [{"time": START + hour * HOUR, "metrics": {"temperature": float(hour)}} for hour in range(48)]
        assert post_readings(key, rows).status_code == 202
    drain_all()


def spoil(level: Any) -> None:
    """So that a bucket that is made again shows."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {level.table} SET m2 = -1")


def made_again(level: Any) -> list[int]:
    return sorted(time for (_, time), row in rolled(level).items() if row["m2"] != -1)


def test_it_makes_what_is_marked(two_devices: None) -> None:
    assert run() == "196 buckets made from 288 readings\n"
    assert_rolled_up(START + 20 * DAY)
    assert run() == "0 buckets made from 0 readings\n"


def test_it_makes_a_range_again(two_devices: None) -> None:
    run()
    spoil(HOURS)
    spoil(MINUTES)
    run("--from", "2026-11-01T05:00Z", "--to", "2026-11-01T07:00Z")
    assert made_again(HOURS) == [START + 5 * HOUR] * 2 + [START + 6 * HOUR] * 2
    assert MINUTE and len(made_again(MINUTES)) == 4


def test_it_makes_one_device_again(two_devices: None) -> None:
    run()
    spoil(HOURS)
    run("--device", "pump-7")
    assert len(made_again(HOURS)) == 48


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "yesterday"], "--from 'yesterday'"),
        (["--from", "2026-11-02T00:00Z", "--to", "2026-11-01T00:00Z"], "--to must lie after --from"),
        (["--device", "nobody"], "there is no device 'nobody'"),
    ],
)
def test_a_wrong_argument_is_named(platform_db: None, arguments: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        run(*arguments)
