"""CSV: any size, and nothing in it that a spreadsheet would execute."""

import csv
import io
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from telemetry.api.reading_csv import harmless
from telemetry.models import Device
from telemetry.timeseries.engine import TABLE
from tests.telemetry.query.stored import store

pytestmark = pytest.mark.django_db

MORNING = datetime(2026, 3, 1, 10, tzinfo=UTC)


def rows(answer) -> list[list[str]]:
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))


@pytest.mark.parametrize("how", [{"headers": {"Accept": "text/csv"}}, {"query_params": {"format": "csv"}}])
def test_the_same_readings_as_a_file(reader, how):
    device = Device.objects.create(name="pump-7")
    store(device, "temperature", [(MORNING, 21.5), (MORNING + timedelta(microseconds=1), -3.0)])
    store(device, "running", [(MORNING + timedelta(seconds=1), True)])
    how["query_params"] = {"device": "pump-7", **how.get("query_params", {})}
    answer = reader.get("/api/v1/readings", **how)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="pump-7.csv"'
    assert rows(answer) == [
        ["device", "metric", "time", "value"],
        ["pump-7", "temperature", "2026-03-01T10:00:00Z", "21.5"],
        ["pump-7", "temperature", "2026-03-01T10:00:00.000001Z", "-3.0"],
        ["pump-7", "running", "2026-03-01T10:00:01Z", "true"],
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", '=cmd|" /C calc"!A0', "a,b", 'a"b', "ü"])
def test_text_that_looks_like_a_formula_is_defused(reader, name):
    store(Device.objects.create(name=name), name, [(MORNING, -1.5)])
    answer = reader.get("/api/v1/readings", {"device": name, "metric": name, "format": "csv"})
    cell = f"'{name}" if name[0] in "=+-@" else name
    assert rows(answer)[1] == [cell, cell, "2026-03-01T10:00:00Z", "-1.5"]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_every_character_that_begins_a_formula_is_known(first):
    assert harmless(f"{first}x") == f"'{first}x"


def test_range_order_and_limit_hold(reader):
    store(Device.objects.create(name="pump-7"), "a", [(MORNING + timedelta(seconds=n), n) for n in range(10)])
    query = {"device": "pump-7", "format": "csv", "order": "desc", "start": "2026-03-01T10:00:02Z", "limit": 3}
    assert [row[3] for row in rows(reader.get("/api/v1/readings", query))[1:]] == ["9.0", "8.0", "7.0"]


def test_a_limit_beyond_one_page_holds_to_the_reading(reader):
    series = store(Device.objects.create(name="pump-7"), "a", [(MORNING, 0.0)])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} SELECT %s + interval '1 s' * n, %s, n FROM generate_series(1, 10010) n",
            [MORNING, series.pk],
        )
    query = {"device": "pump-7", "format": "csv", "limit": 10_003}
    assert len(rows(reader.get("/api/v1/readings", query))) == 1 + 10_003


def test_errors_are_problems_not_files(reader):
    answer = reader.get("/api/v1/readings", {"device": "nobody"}, headers={"Accept": "text/csv"})
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_a_long_file_comes_in_bounded_memory(reader):
    device = Device.objects.create(name="pump-7")
    series = store(device, "a", [(MORNING, 0.0), (MORNING + timedelta(days=2), 0.0)])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} SELECT %s + interval '1 s' * n, %s, n FROM generate_series(1, 100000) n",
            [MORNING, series.pk],
        )
    answer = reader.get("/api/v1/readings", {"device": "pump-7", "format": "csv"})
    tracemalloc.start()
    lines = sum(chunk.count(b"\n") for chunk in answer.streaming_content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines == 100_003
    assert peak < 20_000_000
