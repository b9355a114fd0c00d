"""What is said to a question that costs too much: how to ask instead."""

from __future__ import annotations

from telemetry.query.buckets import LADDER
from telemetry.query.question import PERCENTILES, Limits, Question, TooMuch
from telemetry.rollups.levels import DAY, HOUR, Level

__all__ = ["too_many_points", "too_many_rows"]


def too_many_points(question: Question, expected: int, limits: Limits) -> TooMuch:
    """More buckets than one answer holds."""
    share = limits.points // max(1, len(question.lines))
    wider = next((each for each in LADDER if (question.end - question.start) // each.about + 1 <= share), None)
    instead = (
        f"ask with bucket={wider} or wider" if wider else "ask for fewer devices or metrics, or for a group as one line"
    )
    return TooMuch(
        "bucket" if wider else "device",
        "too_many_points",
        f"This would be {expected:,} results, and one answer has at most {limits.points:,}: {instead}, or for a shorter range.",
    )


def too_many_rows(question: Question, series: int, limits: Limits) -> TooMuch:
    """More rows to read than one question may."""
    said = f"This reads more than {limits.rows:,} rows of {series:,} series"
    if question.bucket is None:
        return TooMuch(
            "bucket",
            "too_many_rows",
            f"{said}: ask with points=1000 for a chart of one series, with a bucket such as bucket=1m, or for a shorter range.",
        )
    together = any(len(line.series) > 1 for line in question.lines)
    if together and {*PERCENTILES, "first", "last"}.intersection(question.functions):
        return TooMuch(
            "functions",
            "too_many_rows",
            f"{said}: percentiles, first and last of a group are computed from its readings. Ask per=device with bucket=1h or "
            "bucket=1d, without them, or for a shorter range.",
        )
    if any(function in PERCENTILES for function in question.functions):
        return TooMuch(
            "bucket",
            "too_many_rows",
            f"{said}: percentiles are ready for bucket=1h, and for bucket=1d with tz=UTC; those of other buckets are computed "
            "from readings. Ask for one of these, or for a shorter range.",
        )
    return TooMuch(
        "bucket",
        "too_many_rows",
        f"{said}: {_coarser(question, series, limits)}, or ask for a shorter range or fewer devices.",
    )


def _coarser(question: Question, series: int, limits: Limits) -> str:
    def fits(level: Level) -> bool:
        return series * (question.end - question.start) // level.width <= limits.rows

    level = next((each for each in (HOUR, DAY) if fits(each)), DAY)
    name = "1h" if level is HOUR else "1d"
    return f"ask with bucket={name} or wider, which is answered from rollups"
