"""The way back: a backup becomes the platform's database, or nothing has happened."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from django.db import connections
from django.db.migrations.loader import MigrationLoader

from iotplatform.backup import after, target
from iotplatform.backup.database import connect_to_server, conninfo, name_in, named
from iotplatform.backup.encryption import Opener, opener
from iotplatform.backup.errors import BackupError
from iotplatform.backup.load import check_counts, check_server, load_into
from iotplatform.backup.manifest import Manifest, check_files, read
from iotplatform.backup.tools import Tools, find
from iotplatform.env import BASE_DIR, Config

__all__ = ["Restored", "restore", "try_restore"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """``former``: the name that the database before now has; None where there was none, or nothing in it."""

    manifest: Manifest
    seconds: float
    former: str | None


@dataclass(frozen=True, slots=True)
class _Ready:
    """A backup that was looked at, and what it is opened with."""

    folder: Path
    manifest: Manifest
    opener: Opener | None
    #: Of our own migrations, those that came after it.
    missing: list[str]


def restore(config: Config, folder: Path, say: Say, *, replace: bool = False, dry_run: bool = False) -> Restored | None:
    """Make the backup the platform's database. The platform's processes must be stopped.

    It is loaded into another database, checked and migrated there, and takes the name at the end: whatever fails before
    leaves the database as it was. With ``dry_run`` everything is checked and nothing done: None. Raises BackupError.
    """
    began = time.monotonic()
    ready, info = _open(config, folder, say), conninfo()
    name, connection = name_in(info), connect_to_server(info)
    connections.close_all()
    with connection as server, target.one_restore(server):
        check_server(server, ready.manifest)
        tools = find(server.info.server_version // 10_000, restoring=True)
        filled = _check_target(server, info, name, replace)
        if dry_run:
            say(
                f"All is ready to restore {ready.manifest.name} to {name}"
                + (", replacing what it holds." if filled else ".")
            )
            return None
        fresh = f"{name[:40]}_restoring"
        _load(server, named(info, fresh), fresh, ready, tools, config.backup_jobs, say)
        with ExitStack() as undo:
            undo.callback(target.drop, server, fresh)
            _migrate(named(info, fresh), ready, say)
            former = target.swap(server, info, fresh, name)
            undo.pop_all()
        if former and not filled:
            target.drop(server, former)
            former = None
    after.forget_answers(config, say)
    after.write_down(ready.manifest)
    return Restored(ready.manifest, time.monotonic() - began, former)


def try_restore(config: Config, folder: Path, say: Say) -> float:
    """Restore into a database beside the platform's, compare its counts, and remove it. Answers seconds; raises
    BackupError."""
    began = time.monotonic()
    ready, info = _open(config, folder, say), conninfo()
    scratch = f"{name_in(info)[:40]}_verifying"
    with connect_to_server(info) as server, target.one_restore(server):
        check_server(server, ready.manifest)
        tools = find(server.info.server_version // 10_000, restoring=True)
        _load(server, named(info, scratch), scratch, ready, tools, config.backup_jobs, say)
        target.drop(server, scratch)
    return time.monotonic() - began


def _open(config: Config, folder: Path, say: Say) -> _Ready:
    """Look at everything that can be told before the server is asked."""
    manifest = read(folder)
    say(f"Checking the files of {manifest.name}, {manifest.bytes / 1e6:,.1f} MB")
    check_files(folder, manifest)
    ours = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    theirs = set(manifest.migrations)
    if newer := sorted(theirs - ours):
        raise BackupError(
            f"The backup was made by a newer version of the platform ({manifest.platform_version}; migration {newer[-1]} is "
            "unknown here): install that version, or a later one, and restore with it."
        )
    key = (
        opener(folder, manifest.encryption, config.backup_identity, config.backup_passphrase)
        if manifest.encryption
        else None
    )
    return _Ready(folder, manifest, key, sorted(ours - theirs))


def _check_target(server: target.Connection, info: str, name: str, replace: bool) -> bool:
    """Answers whether the platform's database holds anything. Raises BackupError where it is in the way."""
    if not target.exists(server, name):
        return False
    filled = target.holds_something(info)
    if filled and not replace:
        raise BackupError(
            f"The database {name} is not empty. With --replace the backup takes its place; the database is kept under another "
            "name."
        )
    if who := target.connected(server, name):
        raise BackupError(
            f"The database {name} is in use by {', '.join(who)}: stop the platform's web, drain, worker and beat processes, "
            "and whatever else is connected."
        )
    return filled


def _load(server: target.Connection, info: str, name: str, ready: _Ready, tools: Tools, jobs: int, say: Say) -> None:
    """Into a database of that name, made for it; it is removed again where that fails."""
    target.create(server, name)
    with ExitStack() as undo:
        undo.callback(target.drop, server, name)
        say(f"Loading {sum(ready.manifest.rows.values()):,} rows into {name}")
        load_into(info, ready.folder, ready.manifest, tools, ready.opener, jobs, say)
        say("Comparing the rows of every table with the backup's")
        check_counts(info, ready.manifest)
        undo.pop_all()


def _migrate(info: str, ready: _Ready, say: Say) -> None:
    if not ready.missing:
        return
    say(f"The backup is older than this version: {len(ready.missing)} migrations")
    made = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, str(BASE_DIR / "manage.py"), "migrate", "--noinput"],
        cwd=BASE_DIR,
        env=after.environment_for(info),
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        raise BackupError(f"The restored database cannot be migrated:\n{made.stdout[-1000:]}{made.stderr[-3000:]}")
