"""What goes wrong with backups, in words for people."""

from __future__ import annotations

__all__ = ["BackupBusy", "BackupDamaged", "BackupError"]


class BackupError(Exception):
    """A backup was not made, or not restored; the message says why and what to do."""


class BackupBusy(BackupError):
    """Another backup or restore is under way."""


class BackupDamaged(BackupError):
    """The files are not what they were when the backup was made."""
