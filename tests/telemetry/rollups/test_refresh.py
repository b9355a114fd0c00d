"""Rollups equal what the readings say, whatever came when."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from iotplatform.env import config
from telemetry.database import connect
from telemetry.models import RollupState, Series
from telemetry.rollups import refresh as refresh_module
from telemetry.rollups import rows as rows_module
from telemetry.rollups.again import mark_range
from telemetry.rollups.levels import HOUR as HOURS
from telemetry.rollups.levels import MINUTE as MINUTES
from telemetry.timeseries.engine import as_microseconds, as_timestamp, engine_in_use
from telemetry.upkeep import keep_ranges
from tests.builders import drain_all, make_device, make_key, post_readings
from tests.telemetry.rollups.readings import DAY, HOUR, MINUTE, START, assert_rolled_up, refresh_upto, rolled


def send(key: str, rows: list[tuple[str, int, float]]) -> None:
    """(metric, time in µs, value) of the key's device, stored."""
    answer = post_readings(key, [{"time": time, "metrics": {metric: value}} for metric, time, value in rows])
    assert answer.status_code == 202, answer.content
    drain_all()


def marks() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT level, low, high, series FROM telemetry_rollupmark ORDER BY level, low, series")
        return cursor.fetchall()


def test_readings_of_three_days_become_minutes_hours_and_days(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    rng = random.Random(7)
    send(key, [(rng.choice("ab"), START + rng.randrange(3 * DAY), rng.gauss(20, 5)) for _ in range(2000)])
    done = refresh_upto(START + 3 * DAY)
    assert done.complete
    assert_rolled_up(START + 3 * DAY)
    assert marks() == []


def test_a_late_reading_corrects_its_minute_its_hour_and_its_day_and_nothing_else(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [("a", START + hour * HOUR, 20.0) for hour in range(72)])
    refresh_upto(START + 3 * DAY)
    with connection.cursor() as cursor:  # so that a bucket that is made again shows
        cursor.execute("UPDATE telemetry_rollup_minute SET m2 = -1")
    send(key, [("a", START + 5 * HOUR + 90_000_000, 80.0)])
    done = refresh_upto(START + 3 * DAY)
    assert done.buckets == 3, "one minute, one hour, one day"
    touched = [key for key, row in rolled(MINUTES).items() if row["m2"] != -1]
    assert [time for _, time in touched] == [START + 5 * HOUR + MINUTE]
    hour = rolled(HOURS)[touched[0][0], START + 5 * HOUR]
    assert (hour["count"], hour["mean"], hour["max"]) == (2, 50.0, 80.0)


def test_what_is_not_over_yet_is_left_for_later(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [("a", START + 10 * MINUTE + second * 1_000_000, 1.0) for second in range(100)])
    assert refresh_upto(START + 11 * MINUTE + 5).complete
    assert [time for _, time in rolled(MINUTES)] == [START + 10 * MINUTE]
    assert rolled(HOURS) == {}
    refresh_upto(START + HOUR)
    assert_rolled_up(START + HOUR)
    assert [row["count"] for row in rolled(HOURS).values()] == [100]
    assert [mark[0] for mark in marks()] == ["day"]


def test_a_refresh_that_is_stopped_at_any_moment_goes_on_where_it_was(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    rng = random.Random(3)
    send(key, [(rng.choice("abc"), START + rng.randrange(2 * DAY), rng.random()) for _ in range(500)])
    for portions in (1, 2, 1, 3):
        left = iter([True] * portions)
        done = refresh_upto(START + 2 * DAY, go_on=lambda left=left: next(left, False))
        assert not done.complete
    assert refresh_upto(START + 2 * DAY).complete
    assert_rolled_up(START + 2 * DAY)


def test_minutes_are_rolled_up_while_an_hour_takes_longer(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [("a", START + 7 * MINUTE, 1.0), ("a", START + 2 * HOUR, 3.0)])
    RollupState.objects.update(rolled_upto=datetime(2026, 10, 1, tzinfo=UTC), refreshed_at=None)
    level: list[str] = []
    done = refresh_upto(START + DAY, show=lambda done: level.append(done.level), go_on=lambda: level[-1:] != ["hour"])
    assert not done.complete
    state = RollupState.objects.get()
    assert as_microseconds(state.rolled_upto) == START + DAY
    assert state.refreshed_at is None, "hours are not finished"
    assert len(rolled(MINUTES)) == 2
    assert refresh_upto(START + DAY).complete
    assert RollupState.objects.get().refreshed_at is not None
    assert_rolled_up(START + DAY)


def test_a_refresh_that_dies_leaves_its_marks(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [("a", START + 7 * MINUTE, 1.0), ("a", START + 8 * MINUTE, 2.0)])

    def die(done: Any) -> None:
        raise RuntimeError("killed")

    try:
        refresh_upto(START + DAY, show=die)
    except RuntimeError:
        pass
    assert len(marks()) == 1
    refresh_upto(START + DAY)
    assert_rolled_up(START + DAY)


def test_readings_that_are_stored_while_a_refresh_runs_are_not_forgotten(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [("a", START + 7 * MINUTE, 1.0)])
    late = iter([("a", START + 7 * MINUTE + 1, 5.0)])

    def meanwhile(done: Any) -> None:
        for reading in late:
            send(key, [reading])

    refresh_upto(START + DAY, show=meanwhile)
    refresh_upto(START + DAY)
    assert_rolled_up(START + DAY)
    assert [row["count"] for row in rolled(MINUTES).values()] == [2]


def test_readings_that_never_stop_coming_do_not_keep_a_refresh_from_ending(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [("a", START + 7 * MINUTE, 1.0)])
    sent = [0]

    def meanwhile(done: Any) -> None:
        assert sent[0] < 20, "it goes on for ever"
        sent[0] += 1
        send(key, [("a", START + 7 * MINUTE + sent[0], float(sent[0]))])

    assert refresh_upto(START + DAY, show=meanwhile).complete
    assert [mark[0] for mark in marks()].count("minute") >= 1, "what came meanwhile is the next refresh's"
    refresh_upto(START + DAY)
    assert_rolled_up(START + DAY)


def test_an_hour_waits_for_more_late_readings_before_it_is_made_again(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    for minute in (7, 8):
        send(key, [("a", START + minute * MINUTE, 1.0)])
        done = refresh_upto(START + HOUR, patient=True)
        assert done.complete and done.readings == 1, "the minute alone"
    assert rolled(HOURS) == {}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE telemetry_rollupmark SET at = at - interval '6 minutes' WHERE low = %s", [as_timestamp(START)]
        )
    assert refresh_upto(START + HOUR, patient=True).readings == 2
    assert_rolled_up(START + HOUR)


def test_what_is_left_of_an_hour_is_not_put_off(platform_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_FIRST_PIECES", 1)
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [(metric, START + 7 * MINUTE, 1.0) for metric in "ab"])
    refresh_upto(START + HOUR, patient=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE telemetry_rollupmark SET at = at - interval '6 minutes'")
    assert not refresh_upto(START + HOUR, patient=True, go_on=lambda: not rolled(HOURS)).complete
    assert len(rolled(HOURS)) == 1
    assert refresh_upto(START + HOUR, patient=True).complete
    assert_rolled_up(START + HOUR)


def test_a_minute_that_many_drains_brought_is_read_once(platform_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh_module, "_MARKS_AT_ONCE", 2)
    key = make_key(make_device("pump-7"), backfill=True)
    for second in range(7):
        send(key, [(metric, START + 7 * MINUTE + second * 1_000_000, 1.0 + second) for metric in "ab"])
    paused = []
    done = refresh_upto(START + HOUR, pause=lambda: paused.append(1))
    assert done.readings == 14 + 14, "for the minute, and for its hour"
    assert len(paused) > 4
    assert_rolled_up(START + HOUR)


def test_a_range_that_is_made_while_a_refresh_runs_is_not_taken_for_one_that_was_dropped(platform_db: None) -> None:
    """With retention on. Its marks went without its buckets being made, when the oldest range was asked for before them."""
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [("a", START + 7 * MINUTE, 1.0)])
    older = iter([("a", START - 60 * DAY, 5.0)])

    def meanwhile() -> bool:
        for reading in older:
            send(key, [reading])
        return True

    refresh_upto(START + DAY, keeps_all=False, go_on=meanwhile)
    refresh_upto(START + DAY, keeps_all=False)
    assert_rolled_up(START + DAY)
    assert len(rolled(MINUTES)) == 2


def test_two_refreshes_do_not_overtake_each_other(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [("a", START + 7 * MINUTE, 1.0)])
    second: list[Any] = []
    refresh_upto(START + DAY, show=lambda done: second.append(refresh_upto(START + DAY)))
    assert all(done.elsewhere for done in second) and second


def test_what_was_made_over_many_ranges_is_made_again_over_all_of_them(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    for hour in (1.0, 2.0):
        send(key, [("a", START - day * DAY + int(hour * HOUR), hour) for day in range(50)])
        # The readings' minutes, and all that lies between them: pieces that reach over the edges of ranges.
        with connect(autocommit=True) as again:
            ids = list(Series.objects.values_list("id", flat=True))
            assert mark_range(again, ids, START - 50 * DAY, START + DAY) == 1
        refresh_upto(START + DAY)
        assert_rolled_up(START + DAY)


def test_old_rollups_are_compressed_once_nothing_of_them_is_left_to_be_made(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    send(key, [("a", START - day * DAY, 1.0) for day in range(20, 40)])
    refresh_upto(START)
    send(key, [("a", START - 35 * DAY + HOUR, 1.0)])
    keep = replace(config, compress_after_days=10, raw_retention_days=0)

    def kept() -> list[str]:
        names = keep_ranges(keep, START)["compressed"]
        assert isinstance(names, list)
        return names

    with connection.cursor() as cursor:
        engine = engine_in_use(cursor)

        def old() -> list[str]:
            return [part.table for part in engine.ranges(cursor, MINUTES.table) if part.end <= START - 10 * DAY]

        marked_from = START - 35 * DAY
        earlier = {part.table for part in engine.ranges(cursor, MINUTES.table) if part.end <= marked_from}
        assert set(old()) & set(kept()) == earlier
        seen: list[set[str]] = []
        refresh_upto(START, show=lambda done: seen.append(set(old()) & set(kept())))
        assert seen and not any(seen)
        if engine.name == "timescale":
            assert set(kept()) >= set(old()) - earlier != set()


def test_buckets_that_outlived_their_readings_stay(platform_db: None) -> None:
    device = make_device("pump-7")
    key = make_key(device, backfill=True)
    send(key, [("a", START - 40 * DAY, 1.0), ("a", START + MINUTE, 2.0)])
    refresh_upto(START + DAY)
    before = rolled(HOURS)
    with connection.cursor() as cursor:
        engine = engine_in_use(cursor)
        engine.drop_before(cursor, START - 10 * DAY)
        cursor.execute(
            "INSERT INTO telemetry_rollupmark (level, low, high, first_series, last_series, series) "
            "SELECT 'minute', '2026-01-01', '2026-12-30', min(id), max(id), array_agg(id) FROM telemetry_series"
        )
    refresh_upto(START + DAY, keeps_all=False)
    assert rolled(HOURS) == before
