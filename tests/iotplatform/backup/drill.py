"""The restore drill: back up under load, destroy the database, restore, start again, and count.

`python -m tests.iotplatform.backup.drill` (`make drill`) prints its figures in one line.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.faults.alert_admin import SETTINGS, Admin
from tests.faults.load import Load, Outcome
from tests.live import LivePlatform

__all__ = ["Figures", "drill", "kept_log", "restored_tables"]

_PROCESSES = ("web", "drain1", "drain2", "worker", "beat")
_HASH = "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {} t{}"
#: Of a device that sends no more: its readings, what was made of them, the threshold that it crossed, and its alert.
_DEVICE = "drill-history"
_SERIES = (
    " WHERE series_id IN (SELECT s.id FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id"
    f" WHERE d.name = '{_DEVICE}')"
)
_ALERT = (
    " WHERE {} IN (SELECT a.id FROM alerts_alert a JOIN thresholds_threshold h ON h.id = a.threshold_id"
    f" WHERE h.name = '{_DEVICE}')"
)
#: What nothing touches between the backup and the comparison: tables, and which of their rows.
_QUIET = {
    "telemetry_device": "",
    "telemetry_loglayout": "",
    "auth_user": "",
    "thresholds_threshold": "",
    "thresholds_level": "",
    "telemetry_series": f" WHERE device_id = (SELECT id FROM telemetry_device WHERE name = '{_DEVICE}')",
    "telemetry_reading": _SERIES,
    "telemetry_rollup_minute": _SERIES,
    "telemetry_rollup_hour": _SERIES,
    "telemetry_rollup_day": _SERIES,
    "alerts_alert": _ALERT.format("id"),
    "alerts_alertevent": _ALERT.format("alert_id"),
}
_HISTORY_READINGS = 2000


@dataclass(frozen=True, slots=True)
class Figures:
    """RTO: from the loss until all that the log had is stored again. RPO: 0 where every accepted reading is there, else the
    time from the beginning of the backup to the loss, which bounds it."""

    backup_seconds: float
    restore_seconds: float
    rto_seconds: float
    rpo_seconds: float
    megabytes: float
    outcome: Outcome

    def __str__(self) -> str:
        return (
            f"drill {'FAILED' if self.outcome.violations else 'ok'}: RPO {self.rpo_seconds:.1f} s, RTO {self.rto_seconds:.1f} s "
            f"(restore {self.restore_seconds:.1f} s); backup {self.backup_seconds:.1f} s, {self.megabytes:.1f} MB; {self.outcome}"
        )


def kept_log() -> dict[str, str]:
    """Settings under which the log has everything that was accepted since the backup."""
    return {
        "LOG_KEEP_SECONDS": "3600",
        "ROLLUP_REFRESH_SECONDS": "5",
        "ROLLUP_DELAY_SECONDS": "1",
        "BACKUP_EVERY_HOURS": "0",
        **SETTINGS,
    }


def make_history(platform: LivePlatform) -> None:
    """A device with readings of three days, their rollups, a threshold that they cross, and an alert that ended."""
    admin = Admin(platform)
    admin.make("devices", {"name": _DEVICE})
    levels = [{"severity": "warning", "trigger": 70, "clear": 65}, {"severity": "critical", "trigger": 90}]
    body = {"name": _DEVICE, "scope": {"device": _DEVICE}, "metric": "temperature", "condition": "above"}
    admin.make("thresholds", {**body, "levels": levels})
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=4)
    rows = [
        f"{(began + timedelta(minutes=2 * number)).isoformat()},{20 + 80 * (300 < number < 400) + number % 7 / 8}"
        for number in range(_HISTORY_READINGS)
    ]
    file = platform.run_dir / "history.csv"
    file.write_text("\n".join(["time,temperature", *rows, ""]))
    platform.manage("import_readings", str(file), "--device", _DEVICE, "--judge")
    platform.manage("refresh_rollups", "--device", _DEVICE)


def restored_tables(platform: LivePlatform) -> dict[str, Any]:
    """Number of rows and a hash over them, of everything that does not change by itself; none of it is empty."""
    with platform.database() as connection:
        found = {table: connection.execute(_HASH.format(table, which)).fetchone() for table, which in _QUIET.items()}
    empty = [table for table, row in found.items() if not row or not row[0]]
    assert not empty, f"nothing to compare in {empty}"
    return found


def drill(platform: LivePlatform, seed: int = 1, batches: int = 80) -> Figures:
    """The platform is running and stays so. Where something is wrong, the outcome has violations."""
    make_history(platform)
    with Load(platform, seed) as load:
        load.wait_for_accepted(batches)
        began = time.monotonic()
        platform.manage("backup")
        backup_seconds = time.monotonic() - began
        backup = sorted((platform.run_dir / "backups").iterdir())[-1]
        before = restored_tables(platform)
        load.wait_for_accepted(batches)
        lost_at = time.monotonic()
        _destroy(platform)
        load.database_replaced()
        restoring = time.monotonic()
        platform.manage("restore", backup.name)
        restore_seconds = time.monotonic() - restoring
        after = restored_tables(platform)
        for name in _PROCESSES:
            platform.restart(name)
        load.database_replaced()
        load.wait_for_accepted(1)
        _wait_until_stored(platform)
        rto_seconds = time.monotonic() - lost_at
        load.wait_for_accepted(batches // 4)
        outcome = load.finish()
    for table, content in before.items():
        if after[table] != content:
            outcome.violations.append(f"{table} is not what it was: {after[table]} instead of {content}")
    megabytes = sum(path.stat().st_size for path in backup.rglob("*") if path.is_file()) / 1e6
    missing = bool(outcome.violations or outcome.lost_batches)
    return Figures(
        backup_seconds, restore_seconds, rto_seconds, lost_at - began if missing else 0.0, megabytes, outcome
    )


def _destroy(platform: LivePlatform) -> None:
    """The database's folder is gone, with all that was in it; the log is not."""
    platform.kill("postgres")
    for name in reversed(_PROCESSES):
        platform.stop(name)
    shutil.rmtree(platform.servers.data_dir("postgres"))
    platform.restart("postgres")


def _wait_until_stored(platform: LivePlatform) -> None:
    """Until the log's end, as it is now, is stored."""
    client = platform.redis()
    last = {shard: client.xinfo_stream(f"log:{shard}")["last-generated-id"].decode() for shard in range(4)}

    def order(entry: str) -> tuple[int, ...]:
        return tuple(map(int, entry.split("-")))

    def stored() -> bool:
        with platform.database() as connection:
            rows = connection.execute("SELECT shard, stored FROM telemetry_shardposition").fetchall()
        return all(order(entry) >= order(last[shard]) for shard, entry in rows)

    platform.wait_until(stored, 60, "what the log had is stored again")


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="drill-", dir="/tmp") as folder,
        LivePlatform(Path(folder) / "a", **kept_log()) as platform,
    ):
        figures = drill(platform, batches=300)
    for violation in figures.outcome.violations:
        print(f"- {violation}")
    print(figures)
    return int(bool(figures.outcome.violations))


if __name__ == "__main__":
    sys.exit(main())
