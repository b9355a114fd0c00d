"""`manage.py verify_readings`: what must never be stored is found, and named."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from telemetry.database import connect
from telemetry.deletion import delete_device
from telemetry.models import Series
from telemetry.store.verify import Verified, verify
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import TABLE, engine_in_use
from tests.builders import drain_all, make_device, make_key, post_readings
from tests.faults.verified import unsound

_DAY = 86_400_000_000
_BEGIN = 1_795_255_200_000_000  # 2026-11-21T10:00:00Z


@pytest.fixture
def unguarded(platform_db: None) -> None:
    """The readings without their unique index, as a store has them that trusts its frontier."""
    with connection.cursor() as cursor:
        Coverage(engine_in_use(cursor), 7).ensure(cursor, np.arange(_BEGIN - 20 * _DAY, _BEGIN + _DAY, _DAY))
        cursor.execute(f"SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '{TABLE}'::regclass")
        definition = cursor.fetchone()[0].replace(" ON ONLY ", " ON ")  # of a partitioned table: of all its parts
        cursor.execute(f"DROP INDEX {TABLE}_series_time")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE}")
        cursor.execute(definition)


def store(*rows: tuple[int, int, float]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {TABLE} (series_id, time, value) VALUES (%s, to_timestamp(%s / 1000000.0), %s)", rows
        )


def told(*arguments: str) -> tuple[int, str]:
    """Exit code, and what was printed."""
    out = io.StringIO()
    try:
        call_command("verify_readings", *arguments, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_what_was_sent_and_sent_again_is_there_once(platform_db: None) -> None:
    key = make_key(make_device("pump-7"))
    body = {"times": [_BEGIN // 1_000_000 - n * 86_400 for n in range(20)], "metrics": {"a": list(range(20))}}
    for _ in range(2):
        assert post_readings(key, body).status_code == 202
    drain_all()
    code, text = told()
    assert code == 0
    assert text.startswith("20 readings")
    assert "each is there once" in text


def test_readings_that_stand_twice_are_named(unguarded: None) -> None:
    series = Series.objects.create(device=make_device("pump-7"), metric="a").pk
    store((series, _BEGIN, 1.0), (series, _BEGIN, 2.5), (series, _BEGIN - 15 * _DAY, 3.0), (series, _BEGIN - _DAY, 4.0))
    code, text = told()
    assert code == 1
    assert "twice: pump-7 · a · 2026-11-21T10:00:00Z: 1, 2.5" in text
    assert "4 readings" in text and "1 more than there should be" in text
    assert told("--to", "2026-11-21T10:00:00Z")[0] == 0, "before it all is well"
    assert told("--from", "2026-11-21T10:00:00Z")[0] == 1


def test_readings_of_nobody_and_values_that_are_none_are_told(unguarded: None) -> None:
    series = Series.objects.create(device=make_device("pump-7"), metric="a").pk
    store((series, _BEGIN, float("nan")), (987654, _BEGIN, 1.0))
    code, text = told()
    assert code == 1
    assert "987654" in text and "1 values are no numbers" in text


def test_readings_of_a_deleted_device_that_still_have_to_go_are_no_fault(platform_db: None) -> None:
    device = make_device("pump-7")
    assert post_readings(make_key(device), {"time": _BEGIN // 1_000_000, "metrics": {"a": 1}}).status_code == 202
    drain_all()
    delete_device(device)
    assert told()[0] == 0


def test_the_fault_suite_tells_what_is_wrong_and_where_nothing_was_looked_at(unguarded: None) -> None:
    parameters = connection.get_connection_params()
    url = make_conninfo(
        **{name: parameters[name] for name in ("host", "port", "dbname", "user", "password") if name in parameters}
    )
    series = Series.objects.create(device=make_device("pump-7"), metric="a").pk
    store((series, _BEGIN, 1.0), (series, _BEGIN - _DAY, 3.0))
    assert unsound(url, 2) == []
    assert unsound(url, 3) == ["verify_readings looked at 2 readings, 3 are stored"]
    store((series, _BEGIN, 2.5))
    assert unsound(url, 3) == ["verify_readings: twice: pump-7 · a · 2026-11-21T10:00:00Z: 1, 2.5"]


def test_an_impossible_range_is_refused(platform_db: None) -> None:
    with pytest.raises(CommandError, match="must lie after"):
        told("--from", "2026-11-21T10:00:00Z", "--to", "2026-11-21T10:00:00Z")
    with pytest.raises(CommandError, match="--from 'yesterday'"):
        told("--from", "yesterday")


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 6)), max_size=25))
@settings(max_examples=25, deadline=None)
def count_of_repeats(rows: list[tuple[int, int]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE}")
    store(*[(series, _BEGIN - day * 3 * _DAY // 2, float(place)) for place, (series, day) in enumerate(rows)])
    with connect(autocommit=True) as found_by:
        last = (list(verify(found_by, 0, _BEGIN + 1)) or [Verified(0)])[-1]  # an emptied hypertable has no chunk
    assert (last.readings, last.repeated) == (len(rows), len(rows) - len(set(rows)))


def test_every_repeat_counts(unguarded: None) -> None:
    run: Callable[[], None] = count_of_repeats
    run()
