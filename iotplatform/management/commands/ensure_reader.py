"""Make the database role with which Grafana and other programs read."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from iotplatform.access.reader import NAME, TABLES, ReaderError, ensure_reader
from telemetry.database import connect

__all__ = ["Command"]


class Command(BaseCommand):
    help = (
        f"Make the database role {NAME}, which may read readings, rollups, devices and alerts and nothing else, or bring "
        "it to that. Its password is READER_PASSWORD; without one nothing is done."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        password = settings.PLATFORM.reader_password
        if not password:
            self.stdout.write(f"READER_PASSWORD is not set: no role {NAME} is made")
            return
        try:
            with connect(autocommit=True) as connection:
                ensure_reader(connection, password)
        except ReaderError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The role {NAME} may read {len(TABLES)} tables; its password is READER_PASSWORD")
