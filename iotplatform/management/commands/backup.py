"""`manage.py backup`: one backup of the database, now."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from iotplatform.backup.errors import BackupBusy, BackupError
from iotplatform.backup.make import back_up

#: Exit code where another backup is under way.
_BUSY = 2


class Command(BaseCommand):
    help = (
        "Back the database up into a folder of BACKUP_FOLDER, checked and whole, while the platform runs; then remove the "
        "backups that BACKUP_KEEP_… no longer keep. Exit code 0: done, 1: failed, 2: another one is under way."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--with-secret-key", action="store_true", help="put SECRET_KEY into it; for encrypted backups alone"
        )
        parser.add_argument("--scheduled", action="store_true", help="beat had it made; only noted")

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _stop)
        try:
            made = back_up(
                *(settings.PLATFORM, self.stdout.write),
                with_secret_key=options["with_secret_key"],
                scheduled=options["scheduled"],
            )
        except BackupBusy as error:
            raise CommandError(str(error), returncode=_BUSY) from None
        except BackupError as error:
            raise CommandError(str(error)) from None
        manifest = made.manifest
        for name in made.removed:
            self.stdout.write(f"Removed {name}: it had its time.")
        self.stdout.write(
            f"Done: {made.path}, {manifest.bytes / 1e6:,.1f} MB, {sum(manifest.rows.values()):,} rows of "
            f"{len(manifest.rows)} tables as of {manifest.snapshot_at}, in {manifest.seconds:.1f} s"
            + (f", encrypted ({manifest.encryption})" if manifest.encryption else "")
        )


def _stop(*_: object) -> NoReturn:
    """As Ctrl-C does: what was begun is removed on the way out."""
    sys.exit("Stopped.")
