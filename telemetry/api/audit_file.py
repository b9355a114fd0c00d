"""The audit trail as a file: CSV (RFC 4180), or JSON lines; any size in bounded memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from rest_framework.renderers import BaseRenderer, JSONRenderer

from telemetry.api.reading_csv import harmless
from telemetry.models import AuditEntry
from telemetry.query.values import utc_text

__all__ = ["COLUMNS", "CSVRenderer", "JSONLinesRenderer", "csv_lines", "json_lines"]

COLUMNS = ("id", "at", "kind", "object_id", "object_name", "action", "who", "via", "address", "before", "after")
_AT_ONCE = 1_000


class CSVRenderer(BaseRenderer):
    """Lets a client ask by Accept or ?format=; the view streams the lines itself, errors stay problem documents."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: Any, media_type: str | None = None, context: Any = None) -> bytes:
        return JSONRenderer().render(data)


class JSONLinesRenderer(CSVRenderer):
    """The same for one object a line."""

    media_type = "application/jsonl"
    format = "jsonl"


def csv_lines(rows: QuerySet[AuditEntry]) -> Iterator[str]:
    """A header, then a line an entry; ``before`` and ``after`` as JSON. Cells that look like formulas get an apostrophe."""
    yield ",".join(COLUMNS) + "\r\n"
    for entry in _documents(rows):
        line = io.StringIO()
        csv.writer(line).writerow([_cell(entry[name]) for name in COLUMNS])
        yield line.getvalue()


def json_lines(rows: QuerySet[AuditEntry]) -> Iterator[str]:
    """An object an entry, as the list has it."""
    for entry in _documents(rows):
        yield json.dumps(entry, ensure_ascii=False) + "\n"


def _documents(rows: QuerySet[AuditEntry]) -> Iterator[dict[str, Any]]:
    """By id, a part at a time: no cursor stays open while a client reads slowly."""
    after = 0
    while found := list(rows.filter(pk__gt=after)[:_AT_ONCE]):
        for entry in found:
            yield {
                "id": entry.pk,
                "at": utc_text(entry.at),
                "kind": entry.kind,
                "object_id": entry.object_id,
                "object_name": entry.object_name,
                "action": entry.action,
                "who": entry.who_name,
                "via": entry.via,
                "address": entry.address,
                "before": entry.before,
                "after": entry.after,
            }
        after = found[-1].pk


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return harmless(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
