"""Whatever is asked, and whatever of it is rolled up, dirty or not rolled up yet: the answer is what the readings say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.database import connect
from telemetry.query.aggregates import aggregate
from telemetry.query.buckets import Bucket, parse_bucket
from telemetry.query.question import FUNCTIONS, Answer, Limits, Line, Question
from telemetry.timeseries.engine import as_microseconds
from tests.telemetry.query.obvious import Streams, recomputed
from tests.telemetry.query.rolled import Reading, begin, by_series, put, roll_up

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
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


@given(case=cases())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_answer_is_what_the_readings_say(database: psycopg.Connection[Any], case: Any) -> None:
    batches, uptos, question = case
    begin(database)
    stored: list[Reading] = []
    for batch, upto in zip(batches, uptos, strict=True):
        put(database, list({(series, time): (series, time, value) for series, time, value in batch[::-1]}.values()))
        stored += batch
        if upto:
            roll_up(database, upto)
        must_agree(by_series(stored), question)
