"""What a schedule means, in a sentence. Pure."""

from __future__ import annotations

from telemetry.models import ScheduledExport

__all__ = ["sentence"]


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


def _period(export: ScheduledExport) -> str:
    if export.period == ScheduledExport.Period.LAST_DAYS:
        return "the last day" if export.days == 1 else f"the last {export.days} days"
    return "last week, from Monday" if export.period == ScheduledExport.Period.LAST_WEEK else "yesterday"
