"""What a backup says about itself: `manifest.json`, and the checksums that hold it to its word."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iotplatform.backup.errors import BackupDamaged, BackupError

__all__ = ["FORMAT", "MANIFEST", "Manifest", "check_files", "checksums", "read", "write"]

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that is known of a backup without opening it.

    ``rows`` counts each table, hypertables and partitioned ones as a whole, in the snapshot of the dump; ``positions`` is
    how far each shard of the log was stored in it (generation, segment, entry, bytes); ``files`` has the SHA-256 of each file
    by its path; ``shape`` says how the dump is written (`directory`, or `stream` where it is encrypted).
    """

    name: str
    platform_version: str
    snapshot_at: str
    seconds: float
    server_version: str
    server_major: int
    timescaledb: str | None
    engine: str
    shards: int
    epoch: int
    positions: list[dict[str, Any]]
    migrations: list[str]
    rows: dict[str, int]
    shape: str
    encryption: str | None
    files: dict[str, str]
    bytes: int
    format: int = FORMAT


def write(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> Manifest:
    """Raises BackupError for what is no backup, or one that this version cannot read."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise BackupError(f"{folder} is not a backup: there is no {MANIFEST} in it.") from None
    except (OSError, ValueError) as error:
        raise BackupDamaged(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BackupError(f"{folder} was made by a newer version of the platform: restore it with that one.")
    try:
        return Manifest(**content)
    except TypeError as error:
        raise BackupDamaged(f"{path} lacks something: {error}") from error


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the manifest, by its path in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): _sha256(path) for path in paths}


def check_files(folder: Path, manifest: Manifest) -> None:
    """Every file is there and is what it was. Raises BackupDamaged with the name of one that is not."""
    found = checksums(folder)
    for name, wanted in manifest.files.items():
        if name not in found:
            raise BackupDamaged(f"{folder / name} is missing: the backup cannot be used.")
        if found[name] != wanted:
            raise BackupDamaged(f"{folder / name} is not what it was when the backup was made: it cannot be used.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
