"""A backup on the disk: whole or nothing, checked file by file, and of no use to whoever has not its key."""

from __future__ import annotations

import dataclasses
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from iotplatform.backup.dump import STREAM
from iotplatform.backup.encryption import opener
from iotplatform.backup.errors import BackupBusy, BackupDamaged, BackupError
from iotplatform.backup.folder import backups, being_made, find_backup, name_for, sweep
from iotplatform.backup.make import Made, back_up, clear_old
from iotplatform.backup.manifest import MANIFEST, check_files, read
from iotplatform.backup.restore import try_restore
from iotplatform.backup.snapshot import one_at_a_time
from iotplatform.env import Config, config
from iotplatform.models import BackupRun
from telemetry.database import connect
from tests.builders import make_device

NOW = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
IDENTITY = x25519.Identity.generate()


def settings(folder: Path, **changes: Any) -> Config:
    return dataclasses.replace(config, backup_folder=str(folder), **changes)


def made_in(folder: Path, **changes: Any) -> Made:
    return back_up(settings(folder, **changes), lambda text: None)


@pytest.fixture
def backup(tmp_path: Path, platform_db: None) -> Path:
    """A plain one, of a platform with two devices."""
    make_device("pump-1")
    make_device("pump-2")
    return made_in(tmp_path / "backups").path


def damaged(backup: Path) -> None:
    with pytest.raises(BackupError):
        check_files(backup, read(backup))


def test_a_backup_is_whole_counted_and_written_down(backup: Path) -> None:
    manifest = read(backup)
    check_files(backup, manifest)
    assert manifest.rows["telemetry_device"] == 2
    assert backups(backup.parent) == [backup]
    assert oct(backup.stat().st_mode)[-3:] == "700"
    run = BackupRun.objects.get()
    assert (run.name, run.error, run.bytes) == (backup.name, "", manifest.bytes)


def test_a_changed_a_shortened_and_a_missing_file_are_each_named(backup: Path) -> None:
    for path in sorted(path for path in backup.rglob("*") if path.is_file() and path.name != MANIFEST):
        whole = path.read_bytes()
        for wrong in (whole[:-1], bytes([whole[0] ^ 1]) + whole[1:] if whole else b"x"):
            path.write_bytes(wrong)
            with pytest.raises(BackupDamaged, match=path.name):
                check_files(backup, read(backup))
        path.unlink()
        with pytest.raises(BackupDamaged, match=f"{path.name} is missing"):
            check_files(backup, read(backup))
        path.write_bytes(whole)
    check_files(backup, read(backup))


@pytest.mark.parametrize("text", ["", "{", '{"format": 1}', "[]", '{"format": 2}'])
def test_a_manifest_that_is_cut_short_or_of_another_format_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(BackupError):
        read(tmp_path)


def test_what_is_no_backup_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is not a backup"):
        read(tmp_path)
    with pytest.raises(BackupError, match="There is no backup in"):
        find_backup(tmp_path, "latest")
    with pytest.raises(BackupError, match="no backup yesterday"):
        find_backup(tmp_path, "yesterday")


def test_one_of_a_newer_release_is_refused_before_anything_is_asked_of_the_server(backup: Path) -> None:
    content = json.loads((backup / MANIFEST).read_text())
    content["migrations"].append("telemetry.9999_from_the_future")
    (backup / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(BackupError, match="newer version of the platform"):
        try_restore(settings(backup.parent), backup, lambda text: None)


def test_what_is_interrupted_leaves_nothing_that_counts_and_the_next_one_removes_it(tmp_path: Path) -> None:
    name = name_for(NOW)
    with pytest.raises(KeyboardInterrupt), being_made(tmp_path, name) as place:
        (place / "half").write_text("")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    half = tmp_path / f"{name}.partial"  # as kill -9 leaves it, the manifest written already
    half.mkdir()
    (half / MANIFEST).write_text("{}")
    assert backups(tmp_path) == []
    assert sweep(tmp_path) == [name]
    assert not half.exists()


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / name_for(NOW)).mkdir()
    assert backups(tmp_path) == []


def test_retention_removes_what_no_rule_keeps_and_nothing_else(tmp_path: Path) -> None:
    for day in range(20):
        folder = tmp_path / name_for(NOW - timedelta(days=day))
        folder.mkdir()
        (folder / MANIFEST).write_text("{}")
    (tmp_path / "my notes").mkdir()
    rules = {"backup_keep_daily": 3, "backup_keep_weekly": 0, "backup_keep_monthly": 0}
    removed = clear_old(tmp_path, settings(tmp_path, **rules))
    assert len(removed) == 17
    assert [path.name for path in backups(tmp_path)] == [name_for(NOW - timedelta(days=day)) for day in (2, 1, 0)]
    assert (tmp_path / "my notes").exists()


def test_a_second_one_meanwhile_is_refused_and_counts_as_no_failure(tmp_path: Path, platform_db: None) -> None:
    with connect(autocommit=True) as other, one_at_a_time(other), pytest.raises(BackupBusy):
        made_in(tmp_path / "backups")
    assert not BackupRun.objects.exists()


def test_a_folder_that_cannot_be_written_is_named_and_the_failure_is_remembered(
    tmp_path: Path, platform_db: None
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupError, match="BACKUP_FOLDER"):
        made_in(tmp_path / "file" / "backups")
    assert "cannot be written" in BackupRun.objects.get().error


@pytest.fixture
def sealed(tmp_path: Path, platform_db: None) -> Path:
    return made_in(tmp_path / "backups", backup_recipient=str(IDENTITY.to_public())).path


def opened(backup: Path, **given: str) -> bytes:
    dump = io.BytesIO()
    key = opener(backup, read(backup).encryption or "", given.get("identity"), given.get("passphrase"))
    with (backup / STREAM).open("rb") as source:
        key.open(source, dump)
    return dump.getvalue()


def test_an_encrypted_one_opens_with_its_key_alone(sealed: Path) -> None:
    assert opened(sealed, identity=str(IDENTITY)).startswith(b"PGDMP")
    with pytest.raises(BackupError, match="cannot be decrypted with this key"):
        opened(sealed, identity=str(x25519.Identity.generate()))
    with pytest.raises(BackupError, match="set BACKUP_IDENTITY"):
        opened(sealed)
    with pytest.raises(BackupError, match="AGE-SECRET-KEY"):
        opened(sealed, identity="my dog's name")
    names = {path.name for path in sealed.rglob("*")}
    assert names == {STREAM, MANIFEST, "config.yaml"}, "nothing lies beside it unencrypted"


def test_an_encrypted_one_that_was_cut_short_or_changed_does_not_open(sealed: Path) -> None:
    path = sealed / STREAM
    whole = path.read_bytes()
    for wrong in (whole[:-1], whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:]):
        path.write_bytes(wrong)
        damaged(sealed)
        with pytest.raises(BackupError):
            opened(sealed, identity=str(IDENTITY))


def test_a_passphrase_opens_its_own_backup_alone(tmp_path: Path, platform_db: None) -> None:
    backup = made_in(tmp_path / "backups", backup_passphrase="correct horse").path
    assert opened(backup, passphrase="correct horse").startswith(b"PGDMP")
    with pytest.raises(BackupError, match="not the one"):
        opened(backup, passphrase="battery staple")
    with pytest.raises(BackupError, match="set BACKUP_PASSPHRASE"):
        opened(backup)


def test_the_secret_key_goes_into_an_encrypted_one_alone(tmp_path: Path, platform_db: None) -> None:
    with pytest.raises(BackupError, match="encrypted backups alone"):
        back_up(settings(tmp_path), lambda text: None, with_secret_key=True)
    assert backups(tmp_path) == []
