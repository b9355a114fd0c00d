"""When a backup is due, and whether there is cause to worry: pure, over what is known of the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from iotplatform.backup.history import INTERRUPTED, Past
from iotplatform.env import Config

__all__ = ["due", "problem", "slot"]

#: After an attempt that did not end well, the next one waits so long.
_AGAIN = timedelta(minutes=15)
_GRACE = timedelta(hours=1)


def slot(now: datetime, every_hours: int, at: str) -> datetime:
    """The last moment before now at which a backup was wanted: ``every_hours`` apart, one of them at that time of day."""
    hours, minutes = map(int, at.split(":"))
    anchor = datetime(1970, 1, 1, hours, minutes, tzinfo=UTC)
    every = timedelta(hours=every_hours)
    return anchor + (now - anchor) // every * every


def due(past: Past, now: datetime, config: Config) -> bool:
    """Whether beat should have one made: none since the last slot, and none tried a moment ago. A platform that was just
    installed has its first one at the next slot. Where something outside sees to it, none is ever due here."""
    since = past.succeeded_at or past.installed_at
    if config.backup_scheduler != "beat" or not config.backup_every_hours or since is None:
        return False
    if past.tried_at is not None and now - past.tried_at < _AGAIN:
        return False
    return since < slot(now, config.backup_every_hours, config.backup_at)


def problem(past: Past, now: datetime, config: Config) -> str:
    """What is wrong with backups, in a sentence; empty where all is well, or none are wanted."""
    since = past.succeeded_at or past.installed_at
    if not config.backup_every_hours or since is None:
        return ""
    if past.error and past.error != INTERRUPTED:
        return f"The last backup failed: {past.error.rstrip('.')}."
    if now - since > 2 * timedelta(hours=config.backup_every_hours) + _GRACE:
        when = f"of {past.succeeded_at:%Y-%m-%d %H:%M} UTC" if past.succeeded_at else "not made yet"
        return f"The last good backup is {when}, and one is wanted every {config.backup_every_hours} h."
    return ""
