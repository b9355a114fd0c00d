"""`manage.py refresh_rollups`: make minutes, hours and days again, where readings came or over a whole range."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from telemetry.database import connect
from telemetry.intake.times import InvalidTime, parse_time
from telemetry.models import Device, Series
from telemetry.rollups.again import mark_range
from telemetry.rollups.refresh import Refreshed, refresh
from telemetry.timeseries.engine import EARLIEST

_ELSEWHERE_SECONDS = 0.5
_INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Bring rollups up to date now. With --from, --to or --device, everything there is made again from the readings, "
        "marked or not. What is interrupted goes on with the next refresh."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        when = "such as 2026-11-21T00:00Z"
        parser.add_argument("--from", dest="start", metavar="TIME", help=f"from this event time on, {when}")
        parser.add_argument("--to", dest="end", metavar="TIME", help=f"before this event time, {when}")
        parser.add_argument("--device", help="only this device's series")
        parser.add_argument(
            "--patience", type=float, default=600, metavar="S", help="seconds to wait for another refresh"
        )

    def handle(self, **options: Any) -> None:
        now = int(time.time() * 1e6)
        start, end = _moment("--from", options["start"]), _moment("--to", options["end"])
        if start is not None and end is not None and start >= end:
            raise CommandError("--to must lie after --from.")
        with connect(autocommit=True) as connection:
            connection.let_statements_take(0)
            if options["start"] or options["end"] or options["device"]:
                series = _series(options["device"])
                found = mark_range(
                    connection, series, EARLIEST if start is None else start, now if end is None else end
                )
                self.stderr.write(f"{found:,} of {len(series):,} series have readings there", self.style.NOTICE)
            try:
                with _progress() as show:
                    done = self._refresh(connection, now, options["patience"], show)
            except KeyboardInterrupt:
                self.stderr.write("stopped; what is left is marked, and done by the next refresh")
                sys.exit(_INTERRUPTED)
        self.stdout.write(f"{done.buckets:,} buckets made from {done.readings:,} readings")

    def _refresh(
        self, connection: psycopg.Connection[Any], upto: int, patience: float, show: Callable[[Refreshed], None]
    ) -> Refreshed:
        """Refresh until nothing is left; while another process is at it, wait for that."""
        end = time.monotonic() + patience
        upto -= settings.PLATFORM.rollup_delay_seconds * 1_000_000
        keeps_all = not settings.PLATFORM.raw_retention_days
        while (done := refresh(connection, upto, keeps_all=keeps_all, show=show)).elsewhere:
            if time.monotonic() > end:
                raise CommandError("Another refresh is running and does not end; what you asked for is marked for it.")
            time.sleep(_ELSEWHERE_SECONDS)
        return done


def _moment(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return max(parse_time(text), EARLIEST)
    except InvalidTime as error:
        raise CommandError(f"{option} {text!r}: {error}") from error


def _series(device: str | None) -> list[int]:
    if device is not None and not Device.objects.filter(name=device).exists():
        raise CommandError(f"there is no device {device!r}")
    found = Series.objects.all() if device is None else Series.objects.filter(device__name=device)
    return list(found.order_by("id").values_list("id", flat=True))


@contextmanager
def _progress() -> Iterator[Callable[[Refreshed], None]]:
    """A progress bar where somebody watches, one for each level in turn."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[readings]} readings"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def show(done: Refreshed) -> None:
            if done.level not in tasks:
                tasks[done.level] = progress.add_task(f"{done.level}s", total=done.pieces, readings="0")
            progress.update(tasks[done.level], completed=done.made, total=done.pieces, readings=f"{done.readings:,}")

        yield show
