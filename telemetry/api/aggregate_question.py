"""What the query parameters of GET /api/v1/aggregates ask for; a wrong one is answered 400 with its name."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from telemetry.api import parameters
from telemetry.query.buckets import Bucket, InvalidBucket, parse_bucket, zone_named
from telemetry.query.lines import device_lines, group_devices, group_lines
from telemetry.query.question import FILLS, FUNCTIONS, Line, Question
from telemetry.sight import visible_devices, visible_groups
from telemetry.timeseries.engine import EARLIEST

__all__ = ["Asked", "asked_of"]

_DEFAULT_FUNCTIONS = ("avg", "min", "max")
_DAY = 86_400_000_000
#: 1 January 3000: calendars beyond it are nobody's question.
_LATEST = 32_503_680_000_000_000
_MOST_NAMES = 500
_LONGEST_DEVICE, _LONGEST_METRIC = 200, 100
MOST_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and how it is to be answered."""

    question: Question
    #: Without a bucket: the finest form that has at most so many points a line.
    chart_points: int | None
    #: "previous", or by which calendar distance earlier the same is wanted too.
    compare: str | Bucket | None
    columns: bool
    csv: bool


def asked_of(request: Request) -> Asked:
    """Raises ValidationError (400) naming a wrong parameter, NotFound (404) for a device or group that is not there."""
    zone = _zone(request)
    start, end = _range(request)
    bucket, points = _bucket(request)
    compare = _compare(request)
    functions = _functions(request)
    csv = getattr(request.accepted_renderer, "format", "") == "csv"  # type: ignore[attr-defined]
    columns = parameters.choice(request, "shape", ("rows", "columns")) == "columns"
    if columns and csv:
        parameters.invalid("shape", "CSV has rows only: leave shape out.", "invalid_choice")
    fill = parameters.choice(request, "fill", FILLS) or "none"
    if compare is not None and bucket == "raw":
        parameters.invalid("compare", "Periods are compared bucket by bucket: leave compare out, or ask with a bucket.")
    lines = _lines(request, together=bucket != "raw")
    question = Question(
        lines=tuple(lines),
        start=start,
        end=end,
        bucket=bucket if isinstance(bucket, Bucket) else None,
        functions=functions,
        zone=zone,
        fill=fill,
        points=points,
    )
    chart = points if bucket is None else None
    return Asked(replace(question, points=None) if chart else question, chart, compare, columns, csv)


def _zone(request: Request) -> ZoneInfo:
    name = parameters.text(request, "tz") or "UTC"
    try:
        return zone_named(name)
    except ValueError:
        parameters.invalid("tz", "Say an IANA time zone, such as UTC, Europe/Berlin or Asia/Kolkata.", "invalid_choice")


def _range(request: Request) -> tuple[int, int]:
    """[start, end); the last 24 hours where nothing is said."""
    end = parameters.instant(request, "end")
    end = int(time.time() * 1e6) if end is None else end
    start = parameters.instant(request, "start")
    start = end - _DAY if start is None else start
    if max(start, end) > _LATEST:
        parameters.invalid("end" if end > _LATEST else "start", "Say a time before the year 3000.", "invalid_time")
    start = max(start, EARLIEST)
    if start >= end:
        parameters.invalid("end", "The end must lie after the start.")
    return start, end


def _bucket(request: Request) -> tuple[Bucket | str | None, int | None]:
    """The width ("raw" for the readings themselves, None for what fits the points), and the points."""
    points = _points(request)
    text = parameters.text(request, "bucket")
    if text is None:
        if points is None:
            parameters.invalid(
                "bucket", "Say how wide: bucket=1h; or for a chart how many points it has: points=500.", "required"
            )
        return None, points
    if text == "raw":
        return "raw", points
    if points is not None:
        parameters.invalid("points", "Goes with bucket=raw, or with no bucket at all.")
    try:
        return parse_bucket(text), None
    except InvalidBucket as error:
        parameters.invalid("bucket", f"{error} Or raw, for the readings themselves.", "invalid_choice")


def _points(request: Request) -> int | None:
    text = parameters.text(request, "points")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not 2 <= int(text[:12]) <= MOST_POINTS:
        parameters.invalid("points", f"Say a whole number from 2 to {MOST_POINTS}.")
    return int(text)


def _functions(request: Request) -> tuple[str, ...]:
    said = parameters.texts(request, "functions", len(FUNCTIONS))
    names = list(dict.fromkeys(name.strip() for text in said for name in text.split(",") if name.strip()))
    for name in names:
        if name not in FUNCTIONS:
            parameters.invalid(
                "functions",
                f"There is no function {name[:40]!r}; say some of {', '.join(FUNCTIONS)}.",
                "invalid_choice",
            )
    return tuple(names) or _DEFAULT_FUNCTIONS


def _compare(request: Request) -> str | Bucket | None:
    text = parameters.text(request, "compare")
    if text is None or text == "previous":
        return text
    try:
        return parse_bucket(text)
    except InvalidBucket:
        parameters.invalid("compare", "Say previous, or how much earlier: 24h, 7d, 1w, 1mo or 1y.", "invalid_choice")


# --- whose ---------------------------------------------------------------------------------------------------------


def _lines(request: Request, together: bool) -> list[Line]:
    devices = parameters.texts(request, "device", _MOST_NAMES, _LONGEST_DEVICE)
    groups = parameters.texts(request, "group", _MOST_NAMES)
    metrics = parameters.texts(request, "metric", _MOST_NAMES, _LONGEST_METRIC)
    per_device = parameters.choice(request, "per", ("device",)) is not None
    if not devices and not groups:
        parameters.invalid("device", "Say whose readings: device=pump-7, or group=plant/hall-1.", "required")
    if groups and not metrics:
        parameters.invalid("metric", "Say which metric of the group: metric=temperature.", "required")
    if groups and not (together or per_device):
        parameters.invalid("per", "Readings of a group are given device by device: say per=device.", "required")
    lines = _lines_of_devices(request, devices, metrics) if devices else []
    for path in groups:
        group = _one(visible_groups(request.user).filter(path=path), "group", path)
        lines += device_lines(group_devices(group), metrics) if per_device else group_lines(group, metrics)
    return list(dict.fromkeys(lines))


def _lines_of_devices(request: Request, names: list[str], metrics: list[str]) -> list[Line]:
    devices = visible_devices(request.user).filter(name__in=names)
    lines = device_lines(devices, metrics)
    silent = set(names).difference(line.device for line in lines if line.device is not None)
    # Those that never sent it have no line, and must be told from those that do not exist.
    known = set(devices.values_list("name", flat=True)) if silent else set()
    for name in names:
        if name in silent and name not in known:
            raise NotFound(f"There is no device {name!r}.")
    return lines


def _one(queryset: QuerySet[Any], kind: str, name: str) -> Any:
    found = queryset.first()
    if found is None:
        raise NotFound(f"There is no {kind} {name!r}.")
    return found
