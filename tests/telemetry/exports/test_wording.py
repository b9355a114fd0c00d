"""Schedules and periods in words."""

from __future__ import annotations

from datetime import datetime, time

import pytest

from telemetry.exports.wording import period_words, sentence
from telemetry.models import ScheduledExport


@pytest.mark.parametrize(
    ("start", "end", "zone", "words"),
    [
        ("2026-11-18T00:00+01:00", "2026-11-21T00:00+01:00", "Europe/Berlin", "18 – 20 Nov 2026"),
        ("2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", "Europe/Berlin", "29 Mar 2026"),
        ("2026-02-27T00:00+00:00", "2026-03-02T00:00+00:00", "UTC", "27 Feb 2026 – 1 Mar 2026"),
        ("2026-03-01T06:00+00:00", "2026-03-02T00:00+00:00", "Asia/Kolkata", "1 Mar 2026 11:30 – 2 Mar 2026 05:30"),
    ],
)
def test_periods(start: str, end: str, zone: str, words: str) -> None:
    assert period_words(datetime.fromisoformat(start), datetime.fromisoformat(end), zone) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Every day at 06:30 (UTC): yesterday, as CSV, into the folder."),
        ({"every": "weekly", "weekday": 0, "period": "last_week", "destination": "s3", "recipients": ["a@b.org"]},
         "Every Monday at 06:30 (UTC): last week, from Monday, as CSV, into the S3 store; 1 person is told."),
        ({"period": "last_days", "days": 7, "format": "parquet"},
         "Every day at 06:30 (UTC): the last 7 days, as Parquet, into the folder."),
    ],
)  # fmt: skip
def test_schedules(fields: dict, words: str) -> None:
    assert sentence(ScheduledExport(at=time(6, 30), **fields)) == words
