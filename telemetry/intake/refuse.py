"""Making refusals. What comes from outside is cut to a bounded length, and to what UTF-8 can say (JSON can name half a
surrogate pair), so that a hostile request costs no more than its own size, wherever its refusals travel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from telemetry.intake.batch import Columns, Rejection
from telemetry.intake.times import iso

#: As much of a refused reading as is kept.
PAYLOAD_CHARACTERS = 16_384
_NAME_CHARACTERS, _DETAIL_CHARACTERS = 200, 500


def short(text: str) -> str:
    """A name or a time from outside, as long as a right one can be."""
    return text[:_NAME_CHARACTERS]


def refusal(
    index: int | None, field: str, code: str, detail: str, device: str | None, reading: object, count: int = 1
) -> Rejection:
    """A Rejection of a reading, which is kept as JSON. The caller cuts what ``reading`` shares with other refusals."""
    payload = json.dumps(reading, ensure_ascii=False)[:PAYLOAD_CHARACTERS]
    return Rejection(
        index,
        _said(short(field)),
        code,
        _said(detail[:_DETAIL_CHARACTERS]),
        _said(short(device or "")),
        _said(payload),
        count,
    )


def refuse_row(columns: Columns, row: int, field: str, code: str, detail: str) -> Rejection:
    """A Rejection of one row, with the row as a reading of its own."""
    return _refuse_rows(columns, columns.run_of(row), row, 1, field, code, detail)


def refuse_run(columns: Columns, run: int, field: str, code: str, detail: str) -> Rejection:
    """A Rejection of a whole run, with the run as a reading of its own."""
    return _refuse_rows(columns, run, *columns.span(run), field, code, detail)


def _refuse_rows(columns: Columns, run: int, first: int, count: int, field: str, code: str, detail: str) -> Rejection:
    device, metric = columns.devices[run], columns.metrics[run]
    rows = range(first, first + count)
    boolean = columns.boolean
    values = [
        bool(columns.values[row]) if boolean is not None and boolean[row] else float(columns.values[row])
        for row in rows
    ]
    times = [iso(int(columns.times[row])) for row in rows]
    reading: Mapping[str, Any] = {"device": None if device is None else short(device)}
    if count == 1:
        reading = {**reading, "time": times[0], "metrics": {metric: values[0]}}
    else:
        reading = {**reading, "times": times, "metrics": {metric: values}}
    return refusal(int(columns.index[first]), field, code, detail, device, reading, count)


def _said(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
