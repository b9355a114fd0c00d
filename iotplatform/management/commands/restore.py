"""`manage.py restore`: a backup becomes the platform's database."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from iotplatform.backup.errors import BackupBusy, BackupError
from iotplatform.backup.folder import backups_folder, find_backup
from iotplatform.backup.restore import restore

_BUSY = 2


class Command(BaseCommand):
    help = (
        "Make a backup the platform's database. It is checked, loaded beside the present one and then takes its place: what "
        "fails leaves everything as it was. Web, drain, worker and beat processes must be stopped. Exit code 0: done, "
        "1: failed, 2: another restore is under way."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", help="its name in BACKUP_FOLDER, a path, or latest")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="a database that is not empty is replaced, and kept under another name",
        )
        parser.add_argument("--dry-run", action="store_true", help="check all that can be checked, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        platform = settings.PLATFORM
        try:
            folder = find_backup(backups_folder(platform), options["backup"])
            done = restore(
                *(platform, folder, self.stdout.write), replace=options["replace"], dry_run=options["dry_run"]
            )
        except BackupBusy as error:
            raise CommandError(str(error), returncode=_BUSY) from None
        except BackupError as error:
            raise CommandError(str(error)) from None
        if done is None:
            return
        if done.former:
            self.stdout.write(f"The database before is kept as {done.former}: drop it once you are content.")
        self.stdout.write(
            f"Restored {done.manifest.name}, as of {done.manifest.snapshot_at}, in {done.seconds:.1f} s. Start the platform: "
            "what the log still has of the time after that is stored again by itself."
        )
