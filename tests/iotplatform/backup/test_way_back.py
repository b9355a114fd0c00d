"""The commands on a platform of their own: what a restore refuses, what is killed midway, and who makes them by schedule."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from iotplatform.backup.folder import backups
from iotplatform.backup.manifest import MANIFEST, checksums, read
from iotplatform.env import BASE_DIR
from tests.live import LivePlatform, own_database

pytestmark = pytest.mark.slow
OLDER = ("telemetry", "0009")
NEWER_TABLE = "telemetry_exportrun"


@pytest.fixture(scope="module")
def stopped() -> Iterator[LivePlatform]:
    """Servers and a migrated database, on the server that the suite is given; no process of the platform."""
    with (
        tempfile.TemporaryDirectory(prefix="iot-backup-", dir="/tmp") as folder,
        own_database() as url,
        LivePlatform(Path(folder) / "run", run=(), database_url=url, BACKUP_EVERY_HOURS="24") as platform,
    ):
        platform.provision("pump-7")
        yield platform


def there(platform: LivePlatform) -> list[Path]:
    return backups(platform.run_dir / "backups")


def devices(platform: LivePlatform) -> list[str]:
    with platform.database() as connection:
        return [name for (name,) in connection.execute("SELECT name FROM telemetry_device ORDER BY name")]


def former(platform: LivePlatform) -> list[str]:
    """Databases that a restore left beside the platform's."""
    with platform.database() as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname ~ '_(before_|restoring|verifying)'")
        return [name for (name,) in rows]


def drop_former(platform: LivePlatform) -> None:
    with platform.database() as connection:
        for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datname ~ '_before_'").fetchall():
            connection.execute(f'DROP DATABASE "{name}"')


def test_a_database_that_is_not_empty_is_replaced_only_when_asked_and_is_kept(stopped: LivePlatform) -> None:
    stopped.manage("backup")
    name = there(stopped)[-1].name
    stopped.provision("pump-8")
    with pytest.raises(RuntimeError, match="is not empty"):
        stopped.manage("restore", name)
    assert "All is ready" in stopped.manage("restore", name, "--replace", "--dry-run")
    assert devices(stopped) == ["pump-7", "pump-8"]
    stopped.manage("restore", name, "--replace")
    assert devices(stopped) == ["pump-7"]
    (kept,) = former(stopped)
    with psycopg.connect(make_conninfo(stopped.database_url, dbname=kept)) as connection:
        assert connection.execute("SELECT count(*) FROM telemetry_device").fetchone() == (2,)
    drop_former(stopped)


def test_a_database_that_is_in_use_is_left_alone_and_its_users_are_named(stopped: LivePlatform) -> None:
    stopped.manage("backup")
    connected = psycopg.connect(stopped.database_url, application_name="grafana")
    with connected, pytest.raises(RuntimeError, match=r"in use by grafana \(1\)"):
        stopped.manage("restore", "latest", "--replace")
    assert former(stopped) == []


def test_a_damaged_one_and_one_that_pg_restore_refuses_change_nothing(stopped: LivePlatform) -> None:
    stopped.manage("backup")
    backup = there(stopped)[-1]
    largest = max((path for path in (backup / "database").iterdir()), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.write_bytes(whole[:-5])
    for command in (("verify_backup",), ("restore", "latest", "--replace")):
        with pytest.raises(RuntimeError, match=f"{largest.name} is not what it was"):
            stopped.manage(*command)
    # Were the checksums made to fit, the loading would still fail, and leave everything as it was.
    manifest = json.loads((backup / MANIFEST).read_text())
    (backup / MANIFEST).write_text(json.dumps({**manifest, "files": checksums(backup)}))
    with pytest.raises(RuntimeError, match=r"pg_restore failed|does not have the rows"):
        stopped.manage("restore", "latest", "--replace")
    largest.write_bytes(whole)
    (backup / MANIFEST).write_text(json.dumps({**manifest, "rows": {**manifest["rows"], "telemetry_device": 7}}))
    with pytest.raises(RuntimeError, match="telemetry_device: 1 of 7"):
        stopped.manage("restore", "latest", "--replace")
    (backup / MANIFEST).write_text(json.dumps(manifest))
    assert devices(stopped) == ["pump-7"]
    assert former(stopped) == []


def test_one_of_an_older_release_is_migrated_on_its_way_back(stopped: LivePlatform) -> None:
    stopped.manage("migrate", *OLDER, "--noinput")
    stopped.manage("backup")
    older = there(stopped)[-1]
    assert NEWER_TABLE not in read(older).rows
    stopped.manage("migrate", "--noinput")
    assert "migrations" in stopped.manage("restore", older.name, "--replace")
    stopped.manage("migrate", "--check")
    with stopped.database() as connection:
        assert connection.execute(f"SELECT count(*) FROM {NEWER_TABLE}").fetchone() == (0,)
    drop_former(stopped)


def test_one_that_is_killed_counts_as_none_and_the_next_one_cleans_up(stopped: LivePlatform) -> None:
    before = there(stopped)
    folder = stopped.run_dir / "backups"
    with stopped.database() as locking, locking.transaction():
        locking.execute("LOCK TABLE telemetry_devicetype IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen(
            [sys.executable, str(BASE_DIR / "manage.py"), "backup"],
            cwd=BASE_DIR,
            env=stopped.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            stopped.wait_until(lambda: list(folder.glob("*.partial/database")), 60, "pg_dump has begun")
            with pytest.raises(RuntimeError, match="under way"):
                stopped.manage("backup")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert there(stopped) == before
    said = stopped.wait_until(lambda: _backed_up(stopped), 60, "the lock of the one that was killed is gone")
    assert "which was interrupted" in said
    assert list(folder.glob("*.partial")) == []
    assert len(there(stopped)) == len(before) + 1
    with stopped.database() as connection:
        errors = [error for (error,) in connection.execute("SELECT error FROM iotplatform_backuprun ORDER BY id")]
    assert errors[-2:] == ["It was interrupted.", ""]


def _backed_up(platform: LivePlatform) -> str:
    try:
        return platform.manage("backup")
    except RuntimeError as error:
        assert "under way" in str(error)
        return ""


def test_neither_log_nor_cache_are_needed_for_a_backup(stopped: LivePlatform) -> None:
    before = len(there(stopped))
    for name in ("log", "cache"):
        stopped.stop(name)
    try:
        stopped.manage("backup")
    finally:
        for name in ("log", "cache"):
            stopped.restart(name)
    assert len(there(stopped)) == before + 1


def test_beat_has_one_made_and_the_alert_about_missing_ones_ends(tmp_path: Path) -> None:
    settings = {"BACKUP_EVERY_HOURS": "1", "BACKUP_RECIPIENT": _recipient()}
    with LivePlatform(tmp_path, run=("worker",), **settings) as platform:
        long_ago = datetime.now(UTC) - timedelta(days=9)
        with platform.database() as connection:
            connection.execute("UPDATE django_migrations SET applied = %s", [long_ago])
        assert "not made yet" in _doctor(platform)
        platform.restart("beat")
        platform.wait_until(lambda: there(platform), 150, "a backup was made")
        assert read(there(platform)[-1]).encryption == "recipient"
        platform.wait_until(lambda: "The last good backup is of" in _doctor(platform), 60, "the doctor knows it")
        with platform.database() as connection:
            rows = connection.execute("SELECT scheduled, error FROM iotplatform_backuprun").fetchall()
    assert rows == [(True, "")]


def _recipient() -> str:
    from pyrage import x25519

    return str(x25519.Identity.generate().to_public())


def _doctor(platform: LivePlatform) -> str:
    line = [sys.executable, str(BASE_DIR / "manage.py"), "doctor"]
    return subprocess.run(line, cwd=BASE_DIR, env=platform.environment, capture_output=True, text=True).stdout
