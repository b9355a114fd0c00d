"""Whether backups are made, and can be made."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import close_old_connections
from django.utils import timezone

from iotplatform.backup import tools
from iotplatform.backup.errors import BackupError
from iotplatform.backup.history import past
from iotplatform.backup.schedule import problem
from iotplatform.doctor.findings import Finding, fail, ok, warn
from iotplatform.env import Config
from iotplatform.observability.probes import database

__all__ = ["check_backups"]


def check_backups(config: Config) -> Iterator[Finding]:
    """The last good one, and the programs that make them."""
    if not config.backup_every_hours:
        yield warn("backups", "No backups are scheduled.", "Set BACKUP_EVERY_HOURS, or see to backups in another way.")
        return
    with database() as connection:
        server_major = connection.info.server_version // 10_000
    try:
        tools.find(server_major)
    except BackupError as error:
        yield fail("backups", str(error), "See docs/backup.md.")
        return
    try:
        known = past()
    finally:
        close_old_connections()
    if trouble := problem(known, timezone.now(), config):
        yield fail("backups", trouble, "Run `manage.py backup` and see what it says.")
    elif known.succeeded_at is None:
        when = f"comes at the next {config.backup_at} UTC" if config.backup_scheduler == "beat" else "was not made yet"
        yield ok("backups", f"The first backup {when}.")
    else:
        yield ok("backups", f"The last good backup is of {known.succeeded_at:%Y-%m-%d %H:%M} UTC.")
