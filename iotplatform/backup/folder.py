"""Where backups lie: a folder with one folder each, which has its name only when it is whole."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from iotplatform.backup.errors import BackupError
from iotplatform.backup.manifest import MANIFEST
from iotplatform.env import Config

__all__ = [
    "backups",
    "backups_folder",
    "being_made",
    "check_space",
    "find_backup",
    "made_at",
    "name_for",
    "size",
    "sweep",
]

_NAME = re.compile(r"iot-\d{8}T\d{6}Z")
_PARTIAL = ".partial"
_FORM = "iot-%Y%m%dT%H%M%SZ"
_LEAST_FREE = 64 << 20


def backups_folder(config: Config) -> Path:
    return Path(config.backup_folder) if config.backup_folder else config.run_dir / "backups"


def name_for(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_FORM)


def made_at(name: str) -> datetime:
    return datetime.strptime(name, _FORM).replace(tzinfo=UTC)


def backups(folder: Path) -> list[Path]:
    """Those that are whole, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and (path / MANIFEST).is_file())


def find_backup(folder: Path, wanted: str) -> Path:
    """A path, a name in the folder, or `latest`. Raises BackupError where there is none."""
    if wanted == "latest":
        there = backups(folder)
        if not there:
            raise BackupError(f"There is no backup in {folder}.")
        return there[-1]
    for path in (Path(wanted), folder / wanted):
        if (path / MANIFEST).is_file():
            return path.absolute()
    raise BackupError(f"There is no backup {wanted}: neither at that path nor in {folder}.")


@contextmanager
def being_made(folder: Path, name: str) -> Iterator[Path]:
    """A place for a backup that is being made. It gets its name at the end of the block; whatever ends the block sooner
    removes it. Raises BackupError where the folder cannot be written to."""
    place = folder / f"{name}{_PARTIAL}"
    if (folder / name).exists():
        raise BackupError(f"There is a backup {name} already: wait a second.")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.mkdir(mode=0o700)
    except OSError as error:
        raise BackupError(
            f"The folder of backups {folder} cannot be written to ({error.strerror}): mend its owner or rights, or set "
            "BACKUP_FOLDER."
        ) from error
    try:
        yield place
        _sync_all(place)
        place.rename(folder / name)
        _sync(folder)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def sweep(folder: Path) -> list[str]:
    """Remove what backups that were interrupted left; their names. Only for who holds the lock."""
    left = [path for path in folder.glob(f"iot-*{_PARTIAL}") if path.is_dir()] if folder.is_dir() else []
    for path in left:
        shutil.rmtree(path)
    return [path.name.removesuffix(_PARTIAL) for path in left]


def check_space(folder: Path, wanted: int) -> None:
    """Raises BackupError where fewer bytes than that are free."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free, wanted = shutil.disk_usage(there).free, max(wanted, _LEAST_FREE)
    if free < wanted:
        raise BackupError(
            f"{there} has {free >> 20:,} MiB free, and a backup may need {wanted >> 20:,}: make room, keep fewer backups "
            "(BACKUP_KEEP_…), or set BACKUP_FOLDER to a larger disk."
        )


def size(folder: Path) -> int:
    """Bytes of all files in it; those that vanish while it looks count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _sync_all(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
