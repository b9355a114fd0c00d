"""`manage.py reshard N`: change the number of shards of a running platform."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from telemetry.log.redis_streams import connect
from telemetry.log.reshard import NotDrained, reshard
from telemetry.models import LogLayout


class Command(BaseCommand):
    help = (
        "Change the number of shards. Intake answers 503 while the old layout drains; the drain workers must be running. "
        "Afterwards set SHARDS to the same number and restart workers and beat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("shards", type=int, help="the new number, 1 to 256")
        parser.add_argument(
            "--patience", type=float, default=120.0, help="seconds to wait for the drains (default 120)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        shards: int = options["shards"]
        if not 1 <= shards <= 256:
            raise CommandError("The number of shards is 1 to 256, for example: manage.py reshard 8")
        if LogLayout.objects.get().shards == shards:
            self.stdout.write(f"The log has {shards} shards already.")
            return
        client = connect(settings.SERVERS["redis_url"], settings.PLATFORM.redis_timeout_seconds)
        try:
            reshard(client, shards, options["patience"], self.stdout.write)
        except NotDrained as error:
            raise CommandError(f"{error} The old layout is in force again.") from None
        self.stdout.write(f"Now set SHARDS={shards} and restart workers and beat: each shard needs its queue consumed.")
