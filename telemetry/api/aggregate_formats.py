"""Answers of the query API as rows, as columns for charts, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.api.reading_csv import harmless
from telemetry.query.fill import filled
from telemetry.query.question import Answer, Line, Points, Question, RawAnswer
from telemetry.query.values import typed, utc_text
from telemetry.timeseries.engine import as_timestamp

__all__ = ["csv_head", "csv_of", "csv_rows", "json_of", "tabular"]

#: Lines of CSV in one piece of the stream.
_CHUNK = 2000


def json_of(answer: Answer | RawAnswer, earlier: Answer | None, columns: bool) -> bytes:
    """The body. `earlier` is the same question about the period it is compared with."""
    said: dict[str, Any] = {
        "bucket": answer.bucket,
        "source": answer.source,
        "tz": answer.question.zone.key,
        **_range(answer),
    }
    if earlier is not None:
        said["compare"] = _range(earlier)
    if isinstance(answer, RawAnswer):
        made = _raw_columns(answer) if columns else _raw_rows(answer)
    else:
        made = _bucket_columns(answer, earlier) if columns else _bucket_rows(answer, earlier)
    said["series" if columns else "results"] = made
    # msgspec writes NaN as null.
    return msgspec.json.encode(said)


def csv_of(answer: Answer | RawAnswer) -> Iterator[str]:
    """The header, then some thousand lines at a time (RFC 4180). Times are in the zone asked for, with its offset."""
    yield csv_head(answer.question)
    yield from csv_rows(answer, answer.question)


def csv_head(question: Question) -> str:
    """The names of the columns."""
    names = ["value"] if question.bucket is None else [*_functions(question), "count"]
    return _csv_line([*_kinds(question), "metric", "time", *names])


def csv_rows(answer: Answer | RawAnswer, whole: Question) -> Iterator[str]:
    """The lines of an answer to a part of the whole question, in the columns of the whole."""
    kinds = _kinds(whole)
    values = {} if isinstance(answer, RawAnswer) else _values(answer)
    for place, line in enumerate(answer.question.lines):
        head = _csv_line([*(harmless(getattr(line, kind) or "") for kind in kinds), harmless(line.metric)])[:-2]
        rows = _csv_raw(answer, place) if isinstance(answer, RawAnswer) else _csv_buckets(answer, values, place)
        chunk: list[str] = []
        for row in rows:
            chunk.append(f"{head},{row}\r\n")
            if len(chunk) == _CHUNK:
                yield "".join(chunk)
                chunk = []
        yield "".join(chunk)


def tabular(answer: Answer | RawAnswer) -> Iterator[tuple[Line, NDArray[np.int64], dict[str, NDArray[Any]]]]:
    """By line: the times (µs since 1970) and the columns of what its rows would be, filled as asked."""
    if isinstance(answer, RawAnswer):
        for line, points in _by_line(answer):
            yield line, points.times, {"value": points.values}
        return
    arrays = _arrays(answer)
    for place, line in enumerate(answer.question.lines):
        shown = _shown(answer, None, place)
        yield line, answer.edges[:-1][shown], {name: column[place][shown] for name, column in arrays.items()}


def _kinds(question: Question) -> list[str]:
    """What its lines are named after."""
    return [kind for kind in ("device", "group") if any(getattr(line, kind) for line in question.lines)] or ["device"]


# --- buckets -------------------------------------------------------------------------------------------------------


def _bucket_rows(answer: Answer, earlier: Answer | None) -> list[dict[str, Any]]:
    times = _texts(answer.edges)
    before = None if earlier is None else (_texts(earlier.edges), _values(earlier))
    values = _values(answer)
    rows = []
    for place, line in enumerate(answer.question.lines):
        name = _name(line)
        shown = _shown(answer, earlier, place)
        columns = {function: column[place] for function, column in values.items()}
        for bucket in shown.tolist():
            row = {**name, "time": times[bucket]}
            for function, column in columns.items():
                row[function] = column[bucket]
            if before is not None:
                row["previous"] = _row_before(before, place, bucket)
            rows.append(row)
    return rows


def _row_before(before: tuple[list[str], dict[str, list[list[Any]]]], place: int, bucket: int) -> dict[str, Any] | None:
    times, values = before
    if bucket >= len(times):
        return None
    return {"time": times[bucket], **{function: column[place][bucket] for function, column in values.items()}}


def _bucket_columns(answer: Answer, earlier: Answer | None) -> list[dict[str, Any]]:
    milliseconds = answer.edges[:-1] // 1000
    values = _arrays(answer)
    before = None if earlier is None else _arrays(earlier)
    found = []
    for place, line in enumerate(answer.question.lines):
        shown = _shown(answer, earlier, place)
        series: dict[str, Any] = {**_name(line), "unit": line.unit, "time": milliseconds[shown].tolist()}
        series |= {function: column[place][shown].tolist() for function, column in values.items()}
        if before is not None and earlier is not None:
            padded = {function: _aligned(column[place], len(milliseconds)) for function, column in before.items()}
            series["previous"] = {function: column[shown].tolist() for function, column in padded.items()}
        found.append(series)
    return found


def _aligned(row: NDArray[Any], length: int) -> NDArray[np.float64]:
    """The first `length` buckets, NaN where there are fewer."""
    made = np.full(length, np.nan)
    made[: min(length, len(row))] = row[:length]
    return made


def _csv_buckets(answer: Answer, values: dict[str, list[list[Any]]], place: int) -> Iterator[str]:
    zone = answer.question.zone
    for bucket in _shown(answer, None, place).tolist():
        time = as_timestamp(int(answer.edges[bucket])).astimezone(zone).isoformat()
        cells = (column[place][bucket] for column in values.values())
        yield ",".join([time, *("" if cell is None or cell != cell else repr(cell) for cell in cells)])


def _shown(answer: Answer, earlier: Answer | None, place: int) -> NDArray[np.int64]:
    """The buckets of a line that are told of: all of them, or those with a reading."""
    if answer.question.fill != "none":
        return np.arange(answer.count.shape[1])
    some = answer.count[place] > 0
    if earlier is not None:
        own = earlier.count[place][: len(some)] > 0
        some = some | np.append(own, np.zeros(len(some) - len(own), np.bool_))
    return np.flatnonzero(some)


def _functions(question: Question) -> list[str]:
    return [function for function in question.functions if function != "count"]


def _arrays(answer: Answer) -> dict[str, NDArray[Any]]:
    """By function, filled as asked; count last and as it is."""
    middles = (answer.edges[:-1] + answer.edges[1:]) // 2
    how = answer.question.fill
    return {name: filled(answer.columns[name], middles, how) for name in _functions(answer.question)} | {
        "count": answer.count
    }


def _values(answer: Answer) -> dict[str, list[list[Any]]]:
    return {name: column.tolist() for name, column in _arrays(answer).items()}


def _texts(edges: NDArray[np.int64]) -> list[str]:
    return [utc_text(as_timestamp(time)) for time in edges[:-1].tolist()]


# --- the readings themselves ---------------------------------------------------------------------------------------


def _raw_rows(answer: RawAnswer) -> list[dict[str, Any]]:
    return [
        {**_name(line), "time": utc_text(as_timestamp(time)), "value": typed(value, line.boolean)}
        for line, points in _by_line(answer)
        for time, value in zip(points.times.tolist(), points.values.tolist(), strict=True)
    ]


def _raw_columns(answer: RawAnswer) -> list[dict[str, Any]]:
    """Booleans are 1 and 0 here: a chart draws them."""
    return [
        {
            **_name(line),
            "unit": line.unit,
            "time": (points.times // 1000).tolist(),
            "value": points.values.tolist(),
        }
        for line, points in _by_line(answer)
    ]


def _csv_raw(answer: RawAnswer, place: int) -> Iterator[str]:
    zone, line, points = answer.question.zone, answer.question.lines[place], answer.points[place]
    for time, value in zip(points.times.tolist(), points.values.tolist(), strict=True):
        shown = typed(value, line.boolean)
        text = str(shown).lower() if line.boolean else repr(shown)
        yield f"{as_timestamp(time).astimezone(zone).isoformat()},{text}"


def _by_line(answer: RawAnswer) -> Iterator[tuple[Line, Points]]:
    return zip(answer.question.lines, answer.points, strict=True)


# --- both ----------------------------------------------------------------------------------------------------------


def _name(line: Line) -> dict[str, str]:
    name = {"device": line.device} if line.device is not None else {"group": line.group or ""}
    return {**name, "metric": line.metric}


def _range(answer: Answer | RawAnswer) -> dict[str, str]:
    question = answer.question
    return {"start": utc_text(_utc(question.start)), "end": utc_text(_utc(question.end))}


def _utc(time: int) -> Any:
    return as_timestamp(time).astimezone(UTC)


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()
