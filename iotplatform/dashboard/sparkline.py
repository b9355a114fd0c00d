"""A small line without axes, drawn by the server: SVG, no script, coloured by the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

__all__ = ["Limit", "hour_plot", "sparkline"]

_WIDTH, _HEIGHT = 120.0, 32.0
_MARGIN = 2.0
_PLOT_WIDTH, _PLOT_HEIGHT = 600.0, 96.0


class Limit(NamedTuple):
    """A threshold line; the severity colours it."""

    value: float
    severity: str


def sparkline(
    points: Sequence[tuple[float, float | None]], limits: Sequence[Limit] = (), label: str = ""
) -> SafeString:
    """Points are (time, value), times of any unit and evenly scaled; a value of None leaves a gap.

    A limit is drawn where it lies within four times the height of the line: one far off would flatten it.
    """
    values = [value for _, value in points if value is not None]
    if not values:
        return mark_safe('<span class="muted small">no reading</span>')  # a constant  # nosec B308
    low, high = min(values), max(values)
    reach = 4.0 * (high - low or abs(high) or 1.0)
    near = [limit for limit in limits if low - reach <= limit.value <= high + reach]
    low, high = min([low, *(limit.value for limit in near)]), max([high, *(limit.value for limit in near)])
    first, last = points[0][0], points[-1][0]

    def x(time: float) -> float:
        return round(_WIDTH * (time - first) / ((last - first) or 1), 1)

    def y(value: float) -> float:
        span = high - low
        share = 0.5 if span == 0 else (value - low) / span
        return round(_HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN), 1)

    lines = [
        f'<polyline class="spark-line" points="{" ".join(f"{x(time)},{y(value)}" for time, value in run)}"/>'
        for run in _runs(points)
    ]
    lines += [
        f'<line class="spark-limit sev-{limit.severity}" x1="0" x2="{_WIDTH:g}" y1="{y(limit.value)}" y2="{y(limit.value)}"/>'
        for limit in near
    ]
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        f"{_WIDTH:g}",
        f"{_HEIGHT:g}",
        label or f"from {values[0]:g} to {values[-1]:g}",
        mark_safe("".join(lines)),  # noqa: S308 - made of numbers and of our own severities  # nosec B308 B703
    )


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Stretches without a gap; a point alone is doubled, so that it can be seen."""
    runs: list[list[tuple[float, float]]] = [[]]
    for time, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((time, value))
    return [run * 2 if len(run) == 1 else run for run in runs if run]


def hour_plot(lines: Sequence[tuple[str, Sequence[tuple[float, float | None]]]], top: float, label: str) -> SafeString:
    """Lines over one hour from 0 to `top`; of each a CSS class and its points. The first one's area is filled."""
    drawn = []
    for place, (style, points) in enumerate(lines):
        first, last = points[0][0], points[-1][0]
        for run in _runs(points):
            spots = [
                (
                    round(_PLOT_WIDTH * (time - first) / ((last - first) or 1), 1),
                    round(_PLOT_HEIGHT - _MARGIN - (_PLOT_HEIGHT - 2 * _MARGIN) * min(1.0, value / (top or 1)), 1),
                )
                for time, value in run
            ]
            text = " ".join(f"{x},{y}" for x, y in spots)
            if place == 0:
                ground = f"{spots[-1][0]},{_PLOT_HEIGHT} {spots[0][0]},{_PLOT_HEIGHT}"
                drawn.append(f'<polygon class="spark-area" points="{text} {ground}"/>')
            drawn.append(f'<polyline class="spark-line {style}" points="{text}"/>')
    return format_html(
        '<svg class="hour-plot" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        f"{_PLOT_WIDTH:g}",
        f"{_PLOT_HEIGHT:g}",
        label,
        mark_safe("".join(drawn)),  # noqa: S308 - made of numbers and of our own class names  # nosec B308 B703
    )
