"""Read thresholds from a file, JSON or YAML: all of it or nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rest_framework import serializers

from telemetry.api.problems import faults_of
from thresholds.bundle import Unreadable, load, take


class Command(BaseCommand):
    help = "Imports thresholds: changes those of the same name, scope and metric, makes the others, deletes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--dry-run", action="store_true", help="only say what would become of it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = Path(options["file"]).read_text(encoding="utf-8")
            done = take(load(text), None, dry_run=options["dry_run"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}") from error
        except (Unreadable, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']}: {error}") from error
        except serializers.ValidationError as error:
            raise CommandError("Nothing was imported.\n" + "\n".join(_lines(error))) from error
        would = "would be " if options["dry_run"] else ""
        self.stdout.write(
            f"{would}created: {len(done.created)}, {would}changed: {len(done.changed)}, unchanged: {len(done.unchanged)}"
        )


def _lines(error: serializers.ValidationError) -> list[str]:
    """Such as "threshold 3, levels.0.clear: It must lie on the safe side: give 80 or less."."""
    lines = []
    for fault in faults_of(error):
        where = [] if fault["index"] is None else [f"threshold {fault['index'] + 1}"]
        where += [fault["field"]] if fault["field"] else []
        lines.append(f"{', '.join(where)}: {fault['detail']}" if where else fault["detail"])
    return lines
