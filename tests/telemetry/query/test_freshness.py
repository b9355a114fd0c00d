"""What is known of rollups before a question is answered."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from telemetry.database import connect
from telemetry.query.buckets import parse_bucket
from telemetry.query.freshness import freshness_of
from telemetry.query.question import Line, Question
from telemetry.query.snapshot import snapshot
from tests.telemetry.query.rolled import begin, put, roll_up

MINUTE = 60_000_000
#: 2026-11-01 00:00 UTC, in µs; up to then everything is rolled up, days too.
MIDNIGHT = 1_793_491_200_000_000


@pytest.mark.parametrize(
    ("came", "end", "marked", "is_kept"),
    [
        (None, 0, False, True),
        (-7, 0, True, False),  # late, into the question's range
        (-70, 0, False, True),  # late, before it
        (3, 0, False, True),  # what comes now, after it
        (3, 5, False, False),  # what comes now, in it: where only readings are believed, no mark is looked for
        (-7, 5, True, False),
    ],
)
def test_a_mark_counts_where_rollups_are_believed(platform_db: None, came, end, marked, is_kept) -> None:
    with connect(autocommit=True) as database:
        begin(database)
        put(database, [(1, MIDNIGHT - 10 * MINUTE, 1.0)])
        roll_up(database, MIDNIGHT)
        if came is not None:
            put(database, [(1, MIDNIGHT + came * MINUTE, 2.0)])
    question = Question(
        (Line("m", (1,)),),
        MIDNIGHT - 60 * MINUTE,
        MIDNIGHT + end * MINUTE,
        parse_bucket("1m"),
        ("avg",),
        ZoneInfo("UTC"),
    )
    with snapshot(30) as cursor:
        found = freshness_of(cursor, question)
    assert (found.upto, found.marked, found.stamp is not None) == (MIDNIGHT, marked, is_kept)
