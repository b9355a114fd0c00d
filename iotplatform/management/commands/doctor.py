"""`manage.py doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import sys
from typing import IO, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from iotplatform.doctor.examination import examine
from iotplatform.doctor.report import as_json, is_well, show


class Command(BaseCommand):
    """Exit code 0 only if nothing fails; what is merely unwise is shown and does not count."""

    help = "Check configuration, services, engine, migrations, clock, disk and the way of a reading."
    requires_system_checks = []  # they are among the findings

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine(settings.PLATFORM)
        if options["json"]:
            self.stdout.write(as_json(findings))
        else:
            show(findings, cast(IO[str], self.stdout))
        if not is_well(findings):
            sys.exit(1)
