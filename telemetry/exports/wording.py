"""What a schedule means and which period a run is about, in words. Pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from telemetry.models import ScheduledExport

__all__ = ["period_words", "sentence"]


def sentence(export: ScheduledExport) -> str:
    """ "Every day at 06:00 (Europe/Berlin): yesterday, as CSV, into the folder; 2 people are told." """
    when = "Every day"
    if export.every == ScheduledExport.Every.WEEKLY and export.weekday is not None:
        when = f"Every {ScheduledExport.Weekday(export.weekday).label}"
    place = "the S3 store" if export.destination == ScheduledExport.Destination.S3 else "the folder"
    told = len(export.recipients)
    people = f"; {told} {'person is' if told == 1 else 'people are'} told" if told else ""
    return (
        f"{when} at {export.at:%H:%M} ({export.zone}): {_period(export)}, as {export.get_format_display()}, "
        f"into {place}{people}."
    )


def period_words(start: datetime, end: datetime, zone: str) -> str:
    """ "18 – 20 Nov 2026" of whole days of the zone, else both moments by its clocks."""
    first, after = (moment.astimezone(ZoneInfo(zone)) for moment in (start, end))
    if first.time() != time() or after.time() != time():
        return f"{first:%-d %b %Y %H:%M} – {after:%-d %b %Y %H:%M}"
    last = after.date() - timedelta(days=1)
    if first.date() == last:
        return f"{last:%-d %b %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first:%-d} – {last:%-d %b %Y}"
    return f"{first:%-d %b %Y} – {last:%-d %b %Y}"


def _period(export: ScheduledExport) -> str:
    if export.period == ScheduledExport.Period.LAST_DAYS:
        return "the last day" if export.days == 1 else f"the last {export.days} days"
    return "last week, from Monday" if export.period == ScheduledExport.Period.LAST_WEEK else "yesterday"
