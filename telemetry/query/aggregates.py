"""Answers a question about stored readings, in one snapshot, from the coarsest rows that answer exactly."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.query import fetch, merge
from telemetry.query.buckets import Bucket, bucket_for, edges
from telemetry.query.downsample import thinned
from telemetry.query.fetch import Part, TooManyRows, Windows
from telemetry.query.freshness import Freshness, freshness_of
from telemetry.query.question import PERCENTILES, Answer, Limits, Points, Question, RawAnswer, TooMuch
from telemetry.query.refusal import too_many_points, too_many_rows
from telemetry.query.snapshot import Cursor, snapshot
from telemetry.query.sources import Mode, Sources, choose
from telemetry.rollups.levels import LEVELS, Level
from telemetry.rollups.marks import marked
from telemetry.rollups.pieces import Pieces

__all__ = ["aggregate", "aggregate_in", "chart_in", "must_fit"]

#: What the server adds up by itself; everything else needs the rows here.
_ADDED_UP = frozenset(("avg", "min", "max", "sum", "count"))
#: Of several series together these are not to be told from rollups.
_OF_READINGS = frozenset((*PERCENTILES, "first", "last"))
_MOST_WINDOWS = 200_000
#: The planner's guess may be off by that much before it is believed.
_DOUBT = 4
#: Below so many seconds of readings (all series together) it is not even asked.
_LITTLE_SECONDS = 1_000_000
#: Groups of windows that lie further apart than that (µs) are asked for one by one, up to so many.
_LONG_GAP, _MOST_GROUPS = 3 * 86_400_000_000, 8
#: Over longer ranges (µs) than that it is guessed from the days first, whether readings are few.
_LONG = 2 * 86_400_000_000
#: More lines than this are never shown reading by reading, unless asked for.
_CHART_LINES = 20


def aggregate(question: Question, limits: Limits) -> Answer | RawAnswer:
    """The answer. Raises TooMuch where it costs more than the limits allow, OperationalError where the database fails."""
    with snapshot(limits.seconds) as cursor:
        return aggregate_in(cursor, question, limits)


def aggregate_in(
    cursor: Cursor, question: Question, limits: Limits, fresh: Freshness | None = None
) -> Answer | RawAnswer:
    """The same over the cursor of a snapshot; `fresh` is what is known there of the rollups in the question's range."""
    if question.bucket is None:
        return _readings(cursor, question, limits)
    return _buckets(cursor, question, question.bucket, limits, fresh or freshness_of(cursor, question))


def must_fit(question: Question, limits: Limits) -> None:
    """Raises TooMuch where the answer would have more results than one may. Nothing is asked for it."""
    if question.bucket is not None:
        buckets = (question.end - question.start) // question.bucket.about + 1
        if (expected := buckets * max(1, len(question.lines))) > limits.points:
            raise too_many_points(question, expected, limits)


def chart_in(
    cursor: Cursor,
    question: Question,
    points: int,
    limits: Limits,
    fresh: Freshness | None = None,
    *,
    buckets: bool = False,
) -> Answer | RawAnswer:
    """As `aggregate_in`, with the finest form that has at most so many points a line: the readings themselves where they
    are few enough (unless `buckets` are wanted), else the narrowest bucket of the ladder."""
    if not buckets and (few := _few_readings(cursor, question, points, limits)) is not None:
        return few
    bucket = bucket_for(question.start, question.end, points)
    return aggregate_in(cursor, replace(question, bucket=bucket), limits, fresh)


def _few_readings(cursor: Cursor, question: Question, points: int, limits: Limits) -> RawAnswer | None:
    """The readings, where no line has more than so many."""
    lines = question.lines
    if len(lines) > _CHART_LINES or any(len(line.series) > 1 for line in lines):
        return None
    most = points * len(lines)
    if question.end - question.start > _LONG and lines:
        series = np.array([line.series[0] for line in lines], np.int32)
        if fetch.rolled_days_hold(cursor, series, question.start, question.end) > most:
            return None
    try:
        found = _readings(cursor, replace(question, bucket=None, points=None), replace(limits, rows=most, points=most))
    except TooMuch:
        return None
    return found if all(len(each.times) <= points for each in found.points) else None


# --- buckets -----------------------------------------------------------------------------------------------------


def _buckets(cursor: Cursor, question: Question, bucket: Bucket, limits: Limits, fresh: Freshness) -> Answer:
    must_fit(question, limits)
    borders = edges(bucket, question.start, question.end, question.zone)
    grid, series = _grid(question, np.clip(borders, question.start, question.end))
    sources = _sources(cursor, question, series, grid.edges, fresh)
    _refuse_early(cursor, sources, question, limits)
    try:
        if _ADDED_UP.issuperset(question.functions):
            count, columns = _from_sums(cursor, question, sources, grid, series, limits)
        else:
            count, columns = _from_rows(cursor, question, sources, grid, series, limits)
    except TooManyRows:
        raise too_many_rows(question, len(series), limits) from None
    return Answer(question, sources.coarsest, borders, count, columns)


def _grid(question: Question, borders: NDArray[np.int64]) -> tuple[merge.Grid, NDArray[np.int32]]:
    """Lines × buckets, and the ids of all series, each in its place; one that is in two lines has two places."""
    series = np.array([each for line in question.lines for each in line.series], np.int32)
    line_of = np.repeat(np.arange(len(question.lines)), [len(line.series) for line in question.lines])
    return merge.Grid(len(question.lines), borders, line_of.astype(np.int32)), series


def _sources(
    cursor: Cursor, question: Question, series: NDArray[np.int32], borders: NDArray[np.int64], fresh: Freshness
) -> Sources:
    ids = np.unique(series)
    known = ids.tolist()

    def marks(level: Level, low: int, high: int) -> list[tuple[int, int, int]]:
        return marked(cursor, level, known, low, high) if fresh.marked else []

    return choose(ids, borders, fresh.upto, marks, _mode(question))


def _mode(question: Question) -> Mode:
    together = any(len(line.series) > 1 for line in question.lines)
    if together and _OF_READINGS.intersection(question.functions):
        return Mode.RAW
    return Mode.WHOLE if any(function in PERCENTILES for function in question.functions) else Mode.MERGED


def _refuse_early(cursor: Cursor, sources: Sources, question: Question, limits: Limits) -> None:
    """Before anything is read; whatever gets past this is still held to the limit row by row."""
    series = sum(len(line.series) for line in question.lines)
    if sources.windows > _MOST_WINDOWS or sources.level_rows() > limits.rows * _DOUBT * 5:
        raise too_many_rows(question, series, limits)
    raw = sources.raw
    if len(raw) and (raw.high - raw.low).sum() > _LITTLE_SECONDS * 1_000_000:
        windows = Windows(raw.series, raw.series, raw.low, raw.high)
        if fetch.estimated_readings(cursor, windows) > limits.rows * _DOUBT:
            raise too_many_rows(question, series, limits)


def _from_sums(
    cursor: Cursor, question: Question, sources: Sources, grid: merge.Grid, series: NDArray[np.int32], limits: Limits
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    columns = [name for name in ("min", "max") if name in question.functions]
    parts = _parts(sources, series, grid.line_of)
    rows = fetch.added_up(cursor, parts, grid.edges, columns, limits.rows) if parts else _NO_SUMS
    return merge.from_sums(rows, grid, question.functions)


def _from_rows(
    cursor: Cursor, question: Question, sources: Sources, grid: merge.Grid, series: NDArray[np.int32], limits: Limits
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    columns = merge.columns_needed(question.functions)
    parts = _parts(sources, series, np.arange(len(series), dtype=np.int32))
    if not parts:
        return merge.from_rows(_no_rows(columns), grid, question.functions, {})
    rows = fetch.rows_of(cursor, parts, columns, limits.rows)
    before = {}
    if "increase" in columns:
        known = fetch.last_before(cursor, np.unique(series), int(grid.edges[0]))
        before = {place: known[each] for place, each in enumerate(series.tolist()) if each in known}
    return merge.from_rows(rows, grid, question.functions, before)


def _no_rows(columns: list[str]) -> NDArray[Any]:
    return np.empty(0, [("tag", "=i4"), ("time", "=i8"), *((name, "=f8") for name in columns)])


_NO_SUMS = np.empty(
    0, [("tag", "=i4"), ("bucket", "=i4"), *((name, "=f8") for name in ("count", "mean", "min", "max"))]
)


def _parts(sources: Sources, series: NDArray[np.int32], tags: NDArray[np.int32]) -> list[Part]:
    """What is read: of each level what lies together in time, so that the planner is told of few partitions."""
    everything: list[tuple[Level | None, Pieces]] = [
        *((level, sources.levels[level]) for level in LEVELS if level in sources.levels),
        (None, sources.raw),
    ]
    return [
        (level, _windows(part, series, tags)) for level, pieces in everything for part in _apart(pieces) if len(part)
    ]


def _apart(pieces: Pieces) -> list[Pieces]:
    """Pieces in groups with long gaps between them; usually the beginning and the end of a range."""
    order = np.argsort(pieces.low, kind="stable")
    gaps = pieces.low[order][1:] - np.maximum.accumulate(pieces.high[order])[:-1]
    cuts = np.flatnonzero(gaps > _LONG_GAP) + 1
    if not 0 < len(cuts) < _MOST_GROUPS:
        return [pieces]
    return [Pieces(pieces.series[rows], pieces.low[rows], pieces.high[rows]) for rows in np.split(order, cuts)]


def _windows(pieces: Pieces, series: NDArray[np.int32], tags: NDArray[np.int32]) -> Windows:
    """The pieces of each series once for every place that it has; tags are given by place."""
    order = np.argsort(series, kind="stable")
    places = series[order]
    first = np.searchsorted(places, pieces.series, "left")
    many = np.searchsorted(places, pieces.series, "right") - first
    piece = np.repeat(np.arange(len(pieces)), many)
    place = np.arange(len(piece)) - np.repeat(np.cumsum(many) - many, many) + first[piece]
    return Windows(tags[order[place]], pieces.series[piece], pieces.low[piece], pieces.high[piece])


# --- the readings themselves -------------------------------------------------------------------------------------


def _readings(cursor: Cursor, question: Question, limits: Limits) -> RawAnswer:
    grid, series = _grid(question, np.array([question.start, question.end], np.int64))
    if not len(series):
        return RawAnswer(question, [_no_points() for _ in question.lines])
    span = [np.full(len(series), time, np.int64) for time in (question.start, question.end)]
    limit = limits.rows if question.points else min(limits.rows, limits.points)
    try:
        rows = fetch.rows_of(cursor, [(None, Windows(grid.line_of, series, *span))], ["mean"], limit)
    except TooManyRows:
        raise too_many_rows(question, len(series), replace(limits, rows=limit)) from None
    rows = rows[np.lexsort((rows["time"], rows["tag"]))]
    cuts = np.searchsorted(rows["tag"], np.arange(len(question.lines) + 1))
    points = [Points(rows["time"][low:high], rows["mean"][low:high]) for low, high in pairwise(cuts)]
    if question.points:
        points = [thinned(each, question.points) for each in points]
    return RawAnswer(question, points)


def _no_points() -> Points:
    return Points(np.empty(0, np.int64), np.empty(0, np.float64))
