"""Raw readings come in order, complete, each once, however the pages are cut."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from telemetry.models import Device
from telemetry.query import raw as raw_module
from telemetry.query.raw import Position, Reading, pages, raw
from telemetry.timeseries.engine import TABLE, as_microseconds
from telemetry.timeseries.landed import Landed
from tests.telemetry.query.stored import store

pytestmark = pytest.mark.django_db

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True, params=["", "landed in stretches", "landed one by one"])
def known(request, monkeypatch) -> None:
    """Some weeks are said to lie in landed columns."""
    if request.param:
        rows = 10 if "stretches" in request.param else 10**12
        low, middle, high = (as_microseconds(MIDNIGHT + timedelta(days=days)) for days in (2, 9, 16))
        ranges = (Landed(low, middle, rows, low, 5), Landed(middle, high, rows, middle, 5))
        monkeypatch.setattr(raw_module, "landed", lambda cursor, within: ranges)


@pytest.fixture
def series_ids() -> list[int]:
    """Five series of very different density over three partitions, with many equal times among them."""
    device = Device.objects.create(name="pump-7")
    chance = random.Random(7)
    made = []
    for metric, count in (("a", 400), ("b", 90), ("c", 3), ("d", 1), ("e", 200)):
        seconds = chance.sample(range(0, 20 * 86_400, 600), count)
        made.append(store(device, metric, [(MIDNIGHT + timedelta(seconds=s), s / 7) for s in seconds]))
    return [series.pk for series in made]


def by_plain_sql(series_ids: list[int], order: str, start: datetime, end: datetime) -> list[Reading]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT time, series_id, value FROM {TABLE} WHERE series_id = ANY(%s) AND time >= %s AND time < %s "
            f"ORDER BY time {order}, series_id {order}",
            [series_ids, start, end],
        )
        return [Reading(*row) for row in cursor.fetchall()]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_pages_put_together_are_the_whole_range(series_ids, order, limit):
    start, end = MIDNIGHT + timedelta(days=1), MIDNIGHT + timedelta(days=18, minutes=10)
    together: list[Reading] = []
    after = None
    while page := raw(series_ids, start, end, order, limit, after):
        assert len(page) <= limit
        together += page
        assert len(together) <= 694  # all there are: a page that repeats itself must not go on for ever
        after = page[-1].position
    expected = by_plain_sql(series_ids, order, start, end)
    assert together == expected
    assert len(expected) > 500


def test_start_is_inside_and_end_is_outside():
    device = Device.objects.create(name="pump-7")
    moments = [MIDNIGHT + timedelta(microseconds=n) for n in (-1, 0, 1, 2)]
    series = store(device, "a", [(moment, n) for n, moment in enumerate(moments)])
    found = raw([series.pk], MIDNIGHT, MIDNIGHT + timedelta(microseconds=2))
    assert [reading.value for reading in found] == [1.0, 2.0]


def test_no_series_and_empty_ranges_have_no_readings(series_ids):
    assert raw([]) == []
    assert raw(series_ids, MIDNIGHT, MIDNIGHT) == []
    assert raw(series_ids, datetime(2031, 1, 1, tzinfo=UTC)) == []


def test_a_position_outside_of_the_range_does_not_widen_it(series_ids):
    start, end = MIDNIGHT + timedelta(days=2), MIDNIGHT + timedelta(days=3)
    before = Position(MIDNIGHT - timedelta(days=400), 0)
    assert raw(series_ids, start, end, after=before) == by_plain_sql(series_ids, "asc", start, end)


def test_pages_walk_through_everything(series_ids):
    walked = [reading for page in pages(series_ids, size=64) for reading in page]
    assert walked == by_plain_sql(series_ids, "asc", MIDNIGHT, MIDNIGHT + timedelta(days=99))


def test_a_page_of_many_dense_series_reads_few_rows():
    """One page out of a day of 50 metrics a second must not sort the whole day."""
    device = Device.objects.create(name="press")
    ids = []
    for number in range(50):
        readings = [(MIDNIGHT + timedelta(seconds=second), float(second)) for second in range(200)]
        ids.append(store(device, f"m{number}", readings).pk)
    read = 0

    def count_rows(execute, sql, params, many, context):
        nonlocal read
        answer = execute(sql, params, many, context)
        read += context["cursor"].rowcount
        return answer

    with connection.execute_wrapper(count_rows):
        assert len(raw(ids, limit=100)) == 100
    assert read <= 2000  # of 10,000
