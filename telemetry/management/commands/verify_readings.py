"""`manage.py verify_readings`: whether each reading is stored exactly once."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from telemetry.database import connect
from telemetry.intake.times import HIGHEST, InvalidTime, iso, parse_time
from telemetry.store.verify import Verified, verify
from telemetry.timeseries.engine import EARLIEST, engine_in_use

_INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Read the stored readings and look for what must never be: a reading twice, one of a series that nobody knows, a "
        "value that is no number. Changes nothing; the platform may run. Ends with 1 where something is found."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        when = "such as 2026-11-21T00:00Z"
        parser.add_argument("--from", dest="start", metavar="TIME", help=f"from this event time on, {when}")
        parser.add_argument("--to", dest="end", metavar="TIME", help=f"before this event time, {when}")

    def handle(self, **options: Any) -> None:
        start = _moment("--from", options["start"], EARLIEST)
        end = _moment("--to", options["end"], HIGHEST)
        if start >= end:
            raise CommandError("--to must lie after --from.")
        try:
            found = self._verify(start, end)
        except KeyboardInterrupt:
            self.stderr.write("stopped")
            sys.exit(_INTERRUPTED)
        self._tell(found)
        if not found.sound:
            sys.exit(1)

    def _verify(self, start: int, end: int) -> Verified:
        console = Console(stderr=True)
        columns = (BarColumn(), TextColumn("{task.fields[readings]} readings"), TimeRemainingColumn())
        found = Verified(start)
        with connect(autocommit=True) as connection:
            connection.let_statements_take(0)
            with connection.cursor() as cursor:
                ranges = engine_in_use(cursor).ranges(cursor)
            spans = [(max(part.start, start), min(part.end, end)) for part in ranges]
            total = sum(max(0, last - first) for first, last in spans)
            with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
                task = progress.add_task("", total=total, readings="0")
                for found in verify(connection, start, end):
                    done = sum(max(0, min(last, found.upto) - first) for first, last in spans)
                    progress.update(task, completed=done, readings=f"{found.readings:,}")
        return found

    def _tell(self, found: Verified) -> None:
        for line in found.faults():
            self.stdout.write(line)
        verdict = f"{found.repeated:,} more than there should be" if found.repeated else "each is there once"
        self.stdout.write(f"{found.readings:,} readings before {iso(found.upto)}: {verdict}")


def _moment(option: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        return max(parse_time(text), EARLIEST)
    except InvalidTime as error:
        raise CommandError(f"{option} {text!r}: {error}") from error
