"""Making a backup: one moment of the database, in a folder that is there whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from iotplatform.backup import history, snapshot
from iotplatform.backup.database import connect, conninfo
from iotplatform.backup.dump import DIRECTORY, dump_into
from iotplatform.backup.encryption import KEY_FILE, Sealer, sealer
from iotplatform.backup.errors import BackupDamaged, BackupError
from iotplatform.backup.folder import backups, backups_folder, being_made, check_space, made_at, name_for, size, sweep
from iotplatform.backup.manifest import Manifest, check_files, checksums, write
from iotplatform.backup.retention import superfluous
from iotplatform.backup.snapshot import Connection, Facts
from iotplatform.backup.tools import Tools, find
from iotplatform.env import CONFIG_FILE, Config
from iotplatform.version import VERSION

__all__ = ["SECRET_KEY_FILE", "Made", "back_up", "clear_old"]

SECRET_KEY_FILE = "secret-key.age"  # noqa: S105 - a file's name
_LIST_SECONDS = 600
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A finished backup, and those that had their time because of it."""

    path: Path
    manifest: Manifest
    removed: list[str]


def back_up(config: Config, say: Say, *, with_secret_key: bool = False, scheduled: bool = False) -> Made:
    """Make one backup of the platform's database, then remove those that retention does not keep.

    Raises BackupBusy where one is being made, BackupError where it fails; nothing is left of it then.
    """
    seal = sealer(config.backup_recipient, config.backup_passphrase)
    if with_secret_key and seal is None:
        raise BackupError(
            "The secret key goes into encrypted backups alone: set BACKUP_RECIPIENT or BACKUP_PASSPHRASE."
        )
    folder, info = backups_folder(config), conninfo()
    with connect(info) as connection, snapshot.one_at_a_time(connection):
        for left in sweep(folder):
            say(f"Removed what was left of {left}, which was interrupted.")
        history.close_interrupted()
        tools = find(connection.info.server_version // 10_000)
        with snapshot.exported(connection) as seen, history.noted(scheduled) as run:
            facts = _facts(connection)
            check_space(folder, _space_for(folder, facts))
            name = name_for(datetime.now(UTC))
            run.name = name
            say(f"Backing up {facts.engine} database of PostgreSQL {facts.server_version} to {folder / name}")
            with being_made(folder, name) as place:
                began = time.monotonic()
                rows = dump_into(
                    *(place, tools, info, seen),
                    jobs=config.backup_jobs,
                    sealer=seal,
                    meanwhile=lambda: snapshot.count_rows(connection),
                    say=say,
                )
                _add_rest(place, config, seal, with_secret_key)
                manifest = _describe(place, name, facts, rows, seal, time.monotonic() - began)
                _verify(place, manifest, tools)
            run.bytes = manifest.bytes
        removed = clear_old(folder, config)
    return Made(folder / name, manifest, removed)


def clear_old(folder: Path, config: Config) -> list[str]:
    """Remove backups that no rule keeps; their names."""
    there = {made_at(path.name): path for path in backups(folder)}
    rules = {
        "daily": config.backup_keep_daily,
        "weekly": config.backup_keep_weekly,
        "monthly": config.backup_keep_monthly,
    }
    gone = [there[moment] for moment in sorted(superfluous(there, **rules))]
    for path in gone:
        shutil.rmtree(path)
    return [path.name for path in gone]


def _facts(connection: Connection) -> Facts:
    try:
        return snapshot.look(connection)
    except LookupError as error:
        raise BackupError(f"Nothing to back up: {error}.") from error


def _space_for(folder: Path, facts: Facts) -> int:
    """Bytes that it may need: what the last one did and half as much again; the first one less than the database, for
    indexes are not dumped and the rest is compressed."""
    last = backups(folder)[-1:]
    return size(last[0]) * 3 // 2 if last else facts.database_bytes


def _add_rest(place: Path, config: Config, seal: Sealer | None, with_secret_key: bool) -> None:
    shutil.copyfile(CONFIG_FILE, place / "config.yaml")
    if seal is not None and seal.key is not None:
        (place / KEY_FILE).write_bytes(seal.key)
    if seal is not None and with_secret_key:
        (place / SECRET_KEY_FILE).write_bytes(seal.sealed(config.secret_key().encode()))


def _describe(
    place: Path, name: str, facts: Facts, rows: dict[str, int], seal: Sealer | None, seconds: float
) -> Manifest:
    manifest = Manifest(
        name=name,
        platform_version=VERSION,
        snapshot_at=facts.at,
        seconds=round(seconds, 3),
        server_version=facts.server_version,
        server_major=facts.server_major,
        timescaledb=facts.timescaledb,
        engine=facts.engine,
        shards=facts.shards,
        epoch=facts.epoch,
        positions=facts.positions,
        migrations=facts.migrations,
        rows=rows,
        shape="stream" if seal else "directory",
        encryption=seal.kind if seal else None,
        files=checksums(place),
        bytes=size(place),
    )
    write(place, manifest)
    return manifest


def _verify(place: Path, manifest: Manifest, tools: Tools) -> None:
    """What is on the disk is what was written; and of a plain dump, `pg_restore` finds its way in it."""
    check_files(place, manifest)
    if manifest.shape == "directory":
        listed = subprocess.run(  # noqa: S603 - our own words
            [tools.restore, "--list", str(place / DIRECTORY)],
            capture_output=True,
            text=True,
            timeout=_LIST_SECONDS,
        )
        if listed.returncode != 0 or "TABLE DATA" not in listed.stdout:
            raise BackupDamaged(f"pg_restore cannot read the dump that was just made: {listed.stderr.strip()[-500:]}")
