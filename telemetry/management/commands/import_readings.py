"""`manage.py import_readings`: a CSV file's readings, of any age, through the same intake and log as a device's."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from telemetry.importing.cells import Times, is_data
from telemetry.importing.chunks import read_chunks
from telemetry.importing.columns import Layout, find_layout
from telemetry.importing.table import Table
from telemetry.importing.text_file import TextFile, UnusableFile
from telemetry.importing.upload import Stuck, Summary, Upload
from telemetry.models import Device
from telemetry.models.device import valid_name

_CHUNK_READINGS = 20_000
_METRIC_LENGTH = 100
_INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Import the readings of a CSV file, of any age. The columns are found where that is unambiguous; what is "
        "stored already counts as a duplicate, so a broken import can simply be repeated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.csv")
        parser.add_argument("--device", required=True, help="name of the device; made where it is new")
        parser.add_argument("--metric", help="name of the metric (default: the column's name)")
        parser.add_argument("--time-column", metavar="C", help="name of the column, or its number from 1")
        parser.add_argument("--value-column", metavar="C", help="the same; default: every column of numbers")
        parser.add_argument(
            "--zone", default="UTC", help="of times without an offset, such as Europe/Berlin (default: UTC)"
        )
        parser.add_argument("--judge", action="store_true", help="also hold the readings against the thresholds")
        parser.add_argument(
            "--patience",
            type=float,
            default=120,
            metavar="S",
            help="seconds to wait where nothing moves (default: 120)",
        )

    def handle(self, **options: Any) -> None:
        zone = _zone(options["zone"])
        upload = Upload(judge=options["judge"], say=self._say, patience=options["patience"])
        try:
            with TextFile(options["file"]) as file:
                table = Table(file, is_data)
                layout = find_layout(
                    table,
                    zone,
                    time_column=options["time_column"],
                    value_column=options["value_column"],
                    metric=options["metric"],
                )
                _check_metrics(layout)
                self._make_device(options["device"])
                self._tell_plan(file, table, layout)
                with _progress(file, upload.summary) as show:
                    for chunk in read_chunks(table, layout, options["device"], Times(zone), _CHUNK_READINGS):
                        upload.send(chunk)
                        upload.settle()
                        show()
                    upload.finish(show)
        except UnusableFile as error:
            self._tell_so_far(upload.summary)
            raise CommandError(str(error)) from error
        except Stuck as error:
            self._tell_so_far(upload.summary)
            raise CommandError(
                f"{error}. What is pending is safe in the log and is stored once a worker runs."
            ) from error
        except KeyboardInterrupt:
            self._tell_so_far(upload.summary)
            self._say("stopped; import the file again for the rest: what is stored already counts as a duplicate")
            sys.exit(_INTERRUPTED)
        self._tell(upload.summary)
        if not upload.summary.is_complete:
            sys.exit(1)

    def _make_device(self, name: str) -> None:
        if Device.objects.filter(name=name).exists():
            return
        device = Device(name=name)
        try:
            device.full_clean()
        except ValidationError as error:
            raise CommandError(f"--device {name!r}: {' '.join(error.messages)}") from error
        device.save()
        self._say(f"device {name} is new: created")

    def _tell_plan(self, file: TextFile, table: Table, layout: Layout) -> None:
        names = table.names or [f"column {number}" for number in range(1, table.width + 1)]
        metrics = ", ".join(metric for _, metric in layout.metrics)
        self._say(f"time from {names[layout.time]!r}; metrics: {metrics}")
        if layout.left_out:
            self._say(f"left out: {', '.join(layout.left_out)}")
        if file.encoding == "cp1252":
            self._say("the file is not UTF-8; read as Windows-1252")

    def _tell(self, summary: Summary) -> None:
        rows = [
            ("stored", summary.stored, ""),
            ("duplicates", summary.duplicates, f"conflicts: {summary.conflicts:,}"),
            ("rejected", summary.rejected, ", ".join(f"{code}: {n:,}" for code, n in summary.reasons.most_common())),
        ]
        others = [("quarantined", summary.quarantined), ("lost", summary.lost), ("pending", summary.pending)]
        rows += [(name, count, "") for name, count in others if count]
        if summary.empty:
            rows.append(("empty cells", summary.empty, ""))
        for name, count, note in rows:
            self.stdout.write(f"{name + ':':<13}{count:>12,}{f'  ({note})' if note else ''}")
        for refused in summary.shown:
            detail = refused.detail.removeprefix(f"line {refused.index}: ")
            self.stdout.write(f"  line {refused.index}: {refused.code}: {detail}")
        if summary.rejected:
            self.stdout.write("  What was rejected waits in quarantine (Admin, Quarantine), to be mended or discarded.")

    def _tell_so_far(self, summary: Summary) -> None:
        if summary.accepted or summary.rejected:
            self._tell(summary)

    def _say(self, text: str) -> None:
        self.stderr.write(text, self.style.NOTICE)


def _zone(name: str) -> tzinfo:
    if name in ("UTC", "Etc/UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise CommandError(f"--zone {name!r} is not a time zone; say for example Europe/Berlin") from None


def _check_metrics(layout: Layout) -> None:
    for _, metric in layout.metrics:
        try:
            valid_name(metric)
            if len(metric) > _METRIC_LENGTH:
                raise ValidationError(f"A name has {_METRIC_LENGTH} characters at most.")
        except ValidationError as error:
            message = " ".join(error.messages)
            raise CommandError(
                f"{metric!r} cannot name a metric: {message} Say --value-column and --metric."
            ) from error


@contextmanager
def _progress(file: TextFile, summary: Summary) -> Iterator[Any]:
    """A progress bar where somebody watches; the function it gives brings it up to date."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[stored]} settled"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("import", total=file.size, stored="0")

        def show() -> None:
            settled = summary.accepted - summary.pending
            progress.update(task, completed=file.bytes_read, stored=f"{settled:,} of {summary.accepted:,}")

        yield show
