"""When backups are made, which are kept, and which programs make them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

from iotplatform.backup.history import INTERRUPTED, Past
from iotplatform.backup.retention import superfluous
from iotplatform.backup.schedule import due, problem, slot
from iotplatform.backup.tools import Tools, choose, conninfo_and_environment
from iotplatform.env import config

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NIGHTLY = dataclasses.replace(config, backup_every_hours=24, backup_at="02:30")
NEVER = Past(None, 0.0, 0, None, "", 0, NOW - timedelta(days=2))


def made(hours: float, **changes: object) -> Past:
    at = NOW - timedelta(hours=hours)
    return dataclasses.replace(NEVER, succeeded_at=at, tried_at=at, **changes)


def test_slots_lie_at_the_time_of_day_and_so_many_hours_apart():
    assert slot(NOW, 24, "02:30") == datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
    assert slot(NOW, 24, "13:00") == datetime(2026, 11, 20, 13, 0, tzinfo=UTC)
    assert slot(NOW, 6, "02:30") == datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def test_one_is_due_once_after_each_slot():
    assert due(made(10), NOW, NIGHTLY)
    assert not due(made(9), NOW, NIGHTLY)


def test_a_failed_one_is_tried_again_after_a_while_and_not_at_once():
    tried = NOW - timedelta(minutes=5)
    assert not due(dataclasses.replace(made(30), tried_at=tried), NOW, NIGHTLY)
    assert due(dataclasses.replace(made(30), tried_at=NOW - timedelta(minutes=16)), NOW, NIGHTLY)


def test_a_new_platform_has_its_first_at_the_next_slot_and_none_where_they_are_off():
    assert not due(dataclasses.replace(NEVER, installed_at=NOW - timedelta(hours=1)), NOW, NIGHTLY)
    assert due(NEVER, NOW, NIGHTLY)
    assert not due(NEVER, NOW, dataclasses.replace(NIGHTLY, backup_every_hours=0))


def test_a_failure_and_an_old_backup_are_problems_an_interruption_alone_is_none():
    assert problem(made(1), NOW, NIGHTLY) == ""
    assert "disk full" in problem(made(1, error="disk full"), NOW, NIGHTLY)
    assert problem(made(1, error=INTERRUPTED), NOW, NIGHTLY) == ""
    assert "2026-11-19" in problem(made(50), NOW, NIGHTLY)
    assert "not made yet" in problem(dataclasses.replace(NEVER, installed_at=NOW - timedelta(days=9)), NOW, NIGHTLY)


def test_retention_keeps_the_newest_of_days_weeks_and_months():
    daily = [NOW - timedelta(days=day) for day in range(100)]
    kept = set(daily) - superfluous(daily, daily=7, weekly=4, monthly=3)
    assert set(daily[:7]) <= kept
    assert {datetime(2026, 11, 15, 12, tzinfo=UTC), datetime(2026, 11, 8, 12, tzinfo=UTC)} <= kept  # Sundays
    assert {datetime(2026, 10, 31, 12, tzinfo=UTC), datetime(2026, 9, 30, 12, tzinfo=UTC)} <= kept
    assert len(kept) == 7 + 2 + 2  # the Sunday six days ago is one of the seven days


def test_the_newest_stays_whatever_the_rules_say_and_so_does_what_was_made_the_same_day():
    moments = [NOW, NOW - timedelta(hours=3), NOW - timedelta(days=3)]
    assert superfluous(moments, daily=0, weekly=0, monthly=0) == {moments[2]}
    assert superfluous([], daily=1, weekly=1, monthly=1) == set()


def test_programs_of_the_servers_own_version_come_first_and_older_ones_never():
    fifteen, eighteen = Tools(Path("/a"), 15), Tools(Path("/b"), 18)
    assert choose([eighteen, fifteen], 15, restoring=False) == fifteen
    assert choose([fifteen, eighteen], 17, restoring=True) == eighteen
    assert choose([fifteen], 16, restoring=False) is None
    assert choose([eighteen], 15, restoring=True) is None, "it would set transaction_timeout, which 15 does not know"


def test_the_password_is_in_the_environment_and_not_in_the_arguments():
    where, environment = conninfo_and_environment(
        "postgresql://iot:{}@db.example.org/iot?sslmode=require".format("very%20secret")
    )
    assert "secret" not in where
    assert "sslmode=require" in where
    assert environment["PGPASSWORD"] == "very secret"
