"""`manage.py verify_backup`: whether a backup could be restored."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from iotplatform.backup.errors import BackupError
from iotplatform.backup.folder import backups_folder, find_backup
from iotplatform.backup.manifest import check_files, read
from iotplatform.backup.restore import try_restore


class Command(BaseCommand):
    help = (
        "Check that every file of a backup is what it was when it was made; with --restore also load it into a database "
        "beside the platform's, compare the rows of every table, and remove it again. The platform may run meanwhile."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", nargs="?", default="latest", help="its name, a path, or latest (the default)")
        parser.add_argument("--restore", action="store_true", help="try to restore it")

    def handle(self, *args: Any, **options: Any) -> None:
        platform = settings.PLATFORM
        try:
            folder = find_backup(backups_folder(platform), options["backup"])
            if options["restore"]:
                seconds = try_restore(platform, folder, self.stdout.write)
                self.stdout.write(
                    f"{folder.name} can be restored: it took {seconds:.1f} s, and every table has its rows."
                )
                return
            manifest = read(folder)
            check_files(folder, manifest)
        except BackupError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"All {len(manifest.files)} files of {folder.name} are what they were ({manifest.bytes / 1e6:,.1f} MB, "
            f"{sum(manifest.rows.values()):,} rows as of {manifest.snapshot_at})."
        )
