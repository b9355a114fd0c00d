"""Whatever is asked, and whatever of it is rolled up, dirty or not rolled up yet: the answer is what the readings say."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.database import connect
from telemetry.query import fetch, landed_rows
from telemetry.query.aggregates import aggregate
from telemetry.query.buckets import Bucket, parse_bucket
from telemetry.query.question import FUNCTIONS, Answer, Limits, Line, Question
from telemetry.timeseries.engine import as_microseconds
from telemetry.timeseries.landed import Landed
from tests.telemetry.importing.reading_files import NAB
from tests.telemetry.query.obvious import Streams, recomputed
from tests.telemetry.query.rolled import Reading, begin, by_series, put, roll_up

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
MACHINE = NAB / "machine_temperature_system_failure.csv"
LIMITS = Limits(rows=1_000_000, points=50_000, seconds=30)
#: Zones, each with a day on which its clocks change.
CHANGES = {
    "Europe/Berlin": datetime(2026, 3, 29, tzinfo=ZoneInfo("Europe/Berlin")),
    "America/New_York": datetime(2026, 11, 1, tzinfo=ZoneInfo("America/New_York")),
    "Asia/Kolkata": datetime(2026, 5, 3, tzinfo=ZoneInfo("Asia/Kolkata")),
    "Australia/Lord_Howe": datetime(2026, 4, 5, tzinfo=ZoneInfo("Australia/Lord_Howe")),
    "UTC": datetime(2026, 2, 28, tzinfo=ZoneInfo("UTC")),
}


@pytest.fixture
def database(platform_db: None) -> Iterator[psycopg.Connection[Any]]:
    with connect(autocommit=True) as connection:
        yield connection


def asked(
    series: Sequence[Sequence[int]],
    start: int,
    end: int,
    bucket: str | Bucket,
    functions: Sequence[str] = FUNCTIONS,
    zone: str = "UTC",
) -> Question:
    """A question; each line is the series together."""
    lines = tuple(Line("m", tuple(each), group="g") for each in series)
    width = bucket if isinstance(bucket, Bucket) else parse_bucket(bucket)
    return Question(lines, start, end, width, tuple(functions), ZoneInfo(zone))


def must_agree(streams: Streams, question: Question) -> Answer:
    """The answer, after comparing it with what the readings say."""
    answer = aggregate(question, LIMITS)
    assert isinstance(answer, Answer)
    for place, expected in enumerate(recomputed(streams, question)):
        shown = np.flatnonzero(answer.count[place])
        assert answer.count[place][shown].tolist() == [each["count"] for each in expected]
        for name in question.functions:
            if name in ("count", "rate"):
                continue
            found = answer.columns[name][place]
            np.testing.assert_allclose(
                found[shown], [each[name] for each in expected], rtol=1e-9, atol=1e-6, err_msg=f"{name}, {question}"
            )
            assert np.isnan(np.delete(found, shown)).all()
    return answer


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[Reading]], list[int], Question]:
    """Batches as they arrive, up to when is rolled up after each, and what is asked then."""
    zone = draw(st.sampled_from(sorted(CHANGES)))
    change = as_microseconds(CHANGES[zone])
    low = change - draw(st.integers(1, 3)) * DAY
    times = st.one_of(
        st.integers(low, low + 5 * DAY),
        st.integers(0, 5 * 24).map(lambda hour: low + hour * HOUR),
        st.integers(change, change + 2 * HOUR),
    )
    values = st.one_of(st.integers(-50, 50).map(float), st.floats(-1e6, 1e6), st.sampled_from((0.0, 1.0)))
    readings = st.tuples(st.integers(1, 3), times, values)
    batches = draw(st.lists(st.lists(readings, min_size=1, max_size=60), min_size=1, max_size=4))
    # Rolled up to somewhere, or not at all: what comes then is late, and waits, marked, to be rolled up again.
    uptos = [draw(st.sampled_from((0, 0, low + 6 * DAY, change + HOUR, draw(times)))) for _ in batches]
    start = draw(st.one_of(times, st.just(change)))
    end = start + draw(st.one_of(st.integers(1, 4 * DAY), st.integers(1, 96).map(lambda hours: hours * HOUR)))
    bucket = draw(st.sampled_from(("90s", "5m", "45m", "1h", "7h", "36h", "1d", "2d", "1w", "1mo", "1q", "1y")))
    if end - start > 6 * HOUR and bucket == "90s":
        bucket = "1h"
    series = draw(st.sampled_from(([[1]], [[1], [2]], [[1, 2, 3]], [[1], [1, 2]])))
    functions = draw(
        st.sampled_from((FUNCTIONS, FUNCTIONS[:5], ("increase", "stddev"), ("p95", "avg"), ("first", "last")))
    )
    return batches, uptos, asked(series, start, end, bucket, functions, zone)


@pytest.mark.parametrize("many", [1, 32], ids=["sums", ""])
@pytest.mark.parametrize("landed", [None, 0, 10**12], ids=["", "landed in stretches", "landed one by one"])
@given(case=cases())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_answer_is_what_the_readings_say(
    database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, case: Any, landed: int | None, many: int
) -> None:
    """``landed``: so many rows are said to lie in landed columns, from a day before the question to the middle of it;
    from so ``many`` series on the server adds them up, and windows elsewhere are told apart by their times."""
    batches, uptos, question = case
    middle = (question.start + question.end) // 2
    known = () if landed is None else (Landed(question.start - DAY, middle, landed, question.start - DAY, 3),)
    monkeypatch.setattr(landed_rows, "_MANY", many)
    monkeypatch.setattr(fetch, "_MOST_TIMES", 12 if many == 1 else 0)
    for module in (landed_rows, fetch):
        monkeypatch.setattr(module, "landed", lambda cursor, within: known)
    begin(database)
    stored: list[Reading] = []
    for batch, upto in zip(batches, uptos, strict=True):
        put(database, list({(series, time): (series, time, value) for series, time, value in batch[::-1]}.values()))
        stored += batch
        if upto:
            roll_up(database, upto)
        must_agree(by_series(stored), question)


def test_hourly_p95_of_a_real_machine_is_that_of_numpy(database: psycopg.Connection[Any]) -> None:
    with MACHINE.open(newline="") as file:
        lines = list(csv.reader(file))[1:]
    times = [as_microseconds(datetime.fromisoformat(time).replace(tzinfo=UTC)) for time, _ in lines]
    rows = list(zip(times, (float(value) for _, value in lines), strict=True))
    expected: dict[int, list[float]] = {}
    for time, value in dict(reversed(rows)).items():
        expected.setdefault(time // HOUR, []).append(value)
    begin(database)
    put(database, list({(1, time): (1, time, value) for time, value in reversed(rows)}.values()))
    low, high = min(rows)[0], max(rows)[0] + 1
    question = asked([[1]], low, high, "1h", ("p50", "p95", "p99"))
    for source in ("raw", "hour"):
        answer = aggregate(question, LIMITS)
        assert isinstance(answer, Answer) and answer.source == source
        shown = np.flatnonzero(answer.count[0])
        assert (answer.edges[shown] // HOUR).tolist() == sorted(expected)
        for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            assert answer.columns[name][0][shown].tolist() == [
                float(np.quantile(expected[hour], quantile)) for hour in sorted(expected)
            ]
        roll_up(database, high + DAY)


def test_large_numbers_neither_overflow_nor_cancel(database: psycopg.Connection[Any]) -> None:
    begin(database)
    tiny = [(1, hour * HOUR + minute * MINUTE, 1e9 + minute % 2) for hour in range(48) for minute in range(0, 60, 5)]
    huge = [(2, hour * HOUR, 1e100 if hour % 2 else -1e100) for hour in range(48)]
    put(database, tiny + huge)
    question = asked([[1], [2]], 0, 2 * DAY, "2d", ("avg", "stddev", "sum"))
    for source in ("raw", "day"):
        answer = aggregate(question, LIMITS)
        assert isinstance(answer, Answer) and answer.source == source
        assert answer.columns["stddev"][:, 0] == pytest.approx([0.5, 1e100])
        assert answer.columns["avg"][0, 0] == 1e9 + 0.5
        assert answer.columns["avg"][1, 0] == pytest.approx(0.0, abs=1e85)
        roll_up(database, 3 * DAY)


def test_the_coarsest_rows_that_answer_exactly_are_read(database: psycopg.Connection[Any]) -> None:
    begin(database)
    put(database, [(1, n * 20 * MINUTE, 1.0) for n in range(60 * 72)])
    roll_up(database, 61 * DAY)

    def source(start: int, end: int, bucket: str, functions: tuple[str, ...] = ("avg",), zone: str = "UTC") -> str:
        return aggregate(asked([[1]], start, end, bucket, functions, zone), LIMITS).source

    week = 7 * DAY
    assert source(0, week, "1d") == source(0, week, "1mo") == source(0, week, "1d", ("p95",)) == "day"
    assert source(0, week, "1d", zone="Europe/Berlin") == source(0, week, "6h") == source(0, week, "36h") == "hour"
    assert source(0, week, "1d", zone="Asia/Kolkata") == "hour"
    # Whole UTC days lie inside a week of any zone, but inside no day of it.
    assert source(0, 5 * week, "1w", zone="Europe/Berlin") == "day"
    assert source(0, DAY, "5m") == "minute" and source(0, DAY, "90s") == "raw"
    assert source(0, DAY, "6h", ("p95",)) == source(0, DAY, "1m", ("p95",)) == "raw"
    assert source(0, DAY, "1h", ("p95",)) == "hour"
