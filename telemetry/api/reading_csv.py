"""Raw readings as CSV (RFC 4180), streamed: any size in bounded memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from telemetry.api.reading_pages import Question
from telemetry.query.raw import Reading, pages
from telemetry.query.series import SeriesName
from telemetry.query.values import typed, utc_text

__all__ = ["csv_lines", "harmless"]

_PAGE = 10_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_lines(question: Question, limit: int | None = None) -> Iterator[str]:
    """The header, then a chunk of lines per page of readings; at most `limit` readings.

    The first page is read at once: a database that is down is an error then, not half a file.
    """
    size = _PAGE if limit is None else min(_PAGE, limit)
    found = pages(list(question.series), question.start, question.end, question.order, size)
    return _chunks(question, next(found, []), found, limit)


def _chunks(question: Question, page: list[Reading], rest: Iterator[list[Reading]], limit: int | None) -> Iterator[str]:
    yield "device,metric,time,value\r\n"
    names = {series.id: _cells(series) for series in question.series.values()}
    booleans = {series.id for series in question.series.values() if series.boolean}
    written = 0
    while page:
        rows = page if limit is None else page[: limit - written]
        written += len(rows)
        yield "".join(
            f"{names[row.series_id]}{utc_text(row.time)},{_number(row.value, row.series_id in booleans)}\r\n"
            for row in rows
        )
        page = [] if written == limit else next(rest, [])


def harmless(cell: str) -> str:
    """A text cell that no spreadsheet takes for a formula: one that looks like it gets an apostrophe in front."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cells(series: SeriesName) -> str:
    """The beginning of each line of a series, up to the comma before the time."""
    line = io.StringIO()
    csv.writer(line, lineterminator=",").writerow([harmless(series.device), harmless(series.metric)])
    return line.getvalue()


def _number(stored: float, boolean: bool) -> str:
    value = typed(stored, boolean)
    return str(value).lower() if boolean else repr(value)
