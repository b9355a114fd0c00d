"""Write thresholds to a file, JSON or YAML."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from thresholds import edit
from thresholds.bundle import bundle, dump


class Command(BaseCommand):
    help = "Writes thresholds as a bundle that import_thresholds and POST /api/v1/thresholds/import take."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=["json", "yaml"], default="yaml")
        parser.add_argument("--output", metavar="FILE", help="where to; without it to standard output")
        parser.add_argument("--name", help="only those whose name contains this")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = edit.thresholds().order_by("pk")
        if options["name"]:
            chosen = chosen.filter(name__icontains=options["name"])
        content = bundle(chosen)
        text = dump(content, options["format"])
        if not options["output"]:
            self.stdout.write(text, ending="")
            return
        try:
            Path(options["output"]).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}") from error
        self.stdout.write(f"{len(content['thresholds'])} thresholds written to {options['output']}")
