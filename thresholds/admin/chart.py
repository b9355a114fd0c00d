"""What a preview draws of one series: its values, the values of the levels, and when alerts were open.

Everything is in percent of the drawing, which is stretched to the width that there is; labels stand beside it in HTML, so
that they keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from telemetry.query.columns import Columns
from telemetry.timeseries.engine import as_timestamp
from thresholds.envelope import Envelope, envelope
from thresholds.level_order import SEVERITIES
from thresholds.notices import PreviewAlert
from thresholds.quantities import number, with_unit
from thresholds.rule import Rule

__all__ = ["Chart", "Line", "Span", "Tick", "draw"]

_PARTS = 1000
#: Percent: an alert of a moment is still seen.
_THINNEST = 0.15
#: The drawing is so many units wide and high; see the template.
_SCALE = 100.0
_STEPS = [timedelta(minutes=each) for each in (1, 5, 10, 15, 30)] + [timedelta(hours=each) for each in (1, 2, 3, 6, 12)]
_STEPS += [timedelta(days=each) for each in (1, 2, 5, 7, 14, 30, 61, 91, 182, 365)]
_TICKS = 6
#: Conditions whose triggers are values of the metric.
_NOT_VALUES = ("rate_above", "silent")


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at so many percent from the left, or from the top."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A level's value, at so many percent from the top. ``clears``: its clear value."""

    at: float
    severity: str
    text: str
    clears: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """While an alert was open, in percent from the left."""

    left: float
    width: float
    severity: str
    text: str

    @property
    def right(self) -> float:
        return round(self.left + self.width, 3)


@dataclass(slots=True)
class Chart:
    """All that the template draws; the paths are in units of the drawing."""

    band: str = ""
    mean: str = ""
    across: list[Tick] = field(default_factory=list)
    up: list[Tick] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    #: Of a rule about the rate: what is drawn is the value all the same.
    of_rate: bool = False
    empty: bool = False


def draw(rule: Rule, found: Columns, alerts: Iterable[PreviewAlert], start: int, end: int, unit: str) -> Chart:
    """The drawing of one series over [start, end), µs since 1970."""
    chart = Chart(of_rate=rule.condition == "rate_above", empty=not len(found.times))
    parts = envelope(found.times, found.values, start, end, _PARTS)
    levels = [] if rule.condition in _NOT_VALUES else _level_values(rule)
    low, high = _range_of(parts, [value for value, _, _ in levels])
    if not chart.empty:
        runs = _runs(parts.places, _largest_step(found.times, start, end))
        chart.band = "".join(_band(parts, run, low, high) for run in runs)
        chart.mean = "".join(_mean(parts, run, low, high) for run in runs)
    chart.across = _times(start, end)
    chart.up = [Tick(_from_top(value, low, high), number(value)) for value in _round_values(low, high)]
    chart.lines = [
        Line(_from_top(value, low, high), SEVERITIES[severity - 1], with_unit(value, unit), clears)
        for value, severity, clears in levels
    ]
    chart.spans = [_span(alert, start, end) for alert in alerts]
    return chart


def _level_values(rule: Rule) -> list[tuple[float, int, bool]]:
    """(value, severity, whether it is a clear value) of every line."""
    found = []
    for level in rule.levels:
        for trigger, clear in ((level.trigger, level.clear), (level.trigger_high, level.clear_high)):
            found += [(trigger, level.severity, False)] if trigger is not None else []
            found += [(clear, level.severity, True)] if clear is not None and clear != trigger else []
    return found


def _range_of(parts: Envelope, lines: Sequence[float]) -> tuple[float, float]:
    """What the drawing spans: all values, and the lines, with a little room."""
    seen = [*lines]
    if len(parts.places):
        seen += [float(parts.low.min()), float(parts.high.max())]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _from_top(value: float, low: float, high: float) -> float:
    return round((high - value) / (high - low) * 100, 3)


def _largest_step(times: NDArray[np.int64], start: int, end: int) -> int:
    """How many parts further on the next reading may be to be joined to one: gaps stay open."""
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return max(2, math.ceil(4 * usual * _PARTS / (end - start)))


def _runs(places: NDArray[np.int64], step: int) -> list[slice]:
    breaks = np.flatnonzero(np.diff(places) > step) + 1
    edges = [0, *breaks.tolist(), len(places)]
    return [slice(begin, stop) for begin, stop in pairwise(edges)]


def _points(places: NDArray[np.int64], values: NDArray[np.float64], low: float, high: float) -> str:
    across = (places + 0.5) * _SCALE / _PARTS
    down = (high - values) / (high - low) * _SCALE
    return "L".join(f"{x:.2f} {y:.2f}" for x, y in zip(across.tolist(), down.tolist(), strict=True))


def _band(parts: Envelope, run: slice, low: float, high: float) -> str:
    top = _points(parts.places[run], parts.high[run], low, high)
    bottom = _points(parts.places[run][::-1], parts.low[run][::-1], low, high)
    return f"M{top}L{bottom}Z"


def _mean(parts: Envelope, run: slice, low: float, high: float) -> str:
    points = _points(parts.places[run], parts.mean[run], low, high)
    # A reading alone: a line without a length is drawn as a dot, as its ends are round.
    return f"M{points}" if "L" in points else f"M{points}h0.01"


def _span(alert: PreviewAlert, start: int, end: int) -> Span:
    until = end if alert.ended_at is None else alert.ended_at
    left, right = (100 * (at - start) / (end - start) for at in (alert.opened_at, until))
    text = f"{SEVERITIES[alert.severity - 1]}: {moment_text(alert.opened_at)} to "
    text += "the end, still open" if alert.ended_at is None else moment_text(alert.ended_at)
    return Span(round(left, 3), round(max(right - left, _THINNEST), 3), SEVERITIES[alert.severity - 1], text)


def _times(start: int, end: int) -> list[Tick]:
    """Round moments of UTC, at most _TICKS or so of them."""
    length = timedelta(microseconds=end - start)
    step = next(
        (each for each in _STEPS if length / each <= _TICKS), _STEPS[-1] * math.ceil(length / _STEPS[-1] / _TICKS)
    )
    micro = step // timedelta(microseconds=1)
    form = "%H:%M" if length <= timedelta(days=1) else "%d %b %H:%M" if step < timedelta(days=1) else "%d %b"
    if length > timedelta(days=400):
        form = "%b %Y"
    first = -(-start // micro) * micro
    return [
        Tick(round(100 * (at - start) / (end - start), 3), as_timestamp(at).strftime(form))
        for at in range(first, end, micro)
    ]


def _round_values(low: float, high: float) -> list[float]:
    """Three to six round values between two."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    return [round(place * step, 12) for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def moment_text(at: int) -> str:
    """Such as "21 Nov 2026 10:00" (UTC)."""
    moment: datetime = as_timestamp(at).astimezone(UTC)
    return moment.strftime("%d %b %Y %H:%M" if moment.second == 0 else "%d %b %Y %H:%M:%S")
