"""`manage.py simulate` against a running platform, through its outages: what the fleet measures is what is stored."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from iotplatform.env import BASE_DIR
from telemetry.simulator.fleet import fleet
from telemetry.simulator.kinds import PUMP
from tests.live import LivePlatform

DEVICES, RATE, SEED = 10, 100.0, 4


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePlatform]:
    with LivePlatform(tmp_path_factory.mktemp("fleet")) as platform:
        yield platform


class Simulator:
    """A running simulator, and the readings that the platform has of it."""

    def __init__(self, platform: LivePlatform, *options: object) -> None:
        self.platform = platform
        self.output = platform.run_dir / "simulator.out"
        line = [sys.executable, str(BASE_DIR / "manage.py"), "simulate", *map(str, options)]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(line, env=platform.environment, stdout=output, stderr=output)

    def stop(self) -> float:
        """Tell it to stop; how many seconds that took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        return time.monotonic() - began

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def times_of(platform: LivePlatform, device: str, metric: str) -> list[int]:
    """Event times (µs since 1970) of what is stored of one series."""
    with platform.database() as connection:
        rows = connection.execute(
            "SELECT (extract(epoch FROM r.time) * 1000000)::bigint FROM telemetry_reading r "
            "JOIN telemetry_series s ON s.id = r.series_id JOIN telemetry_device d ON d.id = s.device_id "
            "WHERE d.name = %s AND s.metric = %s ORDER BY r.time",
            [device, metric],
        ).fetchall()
    return [time_us for (time_us,) in rows]


def count(platform: LivePlatform) -> int:
    with platform.database() as connection:
        row = connection.execute("SELECT count(*) FROM telemetry_reading").fetchone()
    return row[0] if row else 0


def wait_for_more(platform: LivePlatform, readings: int) -> None:
    goal = count(platform) + readings
    platform.wait_until(lambda: count(platform) >= goal, what=f"{readings} more readings")


def key_file(platform: LivePlatform) -> Path:
    return platform.run_dir / "simulator-key"


def test_a_fleet_loses_nothing_while_web_is_killed_and_its_key_is_revoked(platform: LivePlatform) -> None:
    with Simulator(platform, "--devices", DEVICES, "--rate", RATE, "--seed", SEED) as simulator:
        wait_for_more(platform, 200)
        assert stat.S_IMODE(key_file(platform).stat().st_mode) == 0o600
        platform.kill("web")
        platform.restart("web")
        wait_for_more(platform, 200)
        first_key = key_file(platform).read_text()
        with platform.database() as connection:
            connection.execute("UPDATE telemetry_devicekey SET revoked_at = now()")
        platform.wait_until(lambda: key_file(platform).read_text() != first_key, what="a new key")
        wait_for_more(platform, 200)
        assert simulator.stop() < 1
        assert simulator.process.returncode == 0
        assert first_key not in simulator.output.read_text()
    pumps = [device for device in fleet(DEVICES, RATE, SEED) if device.kind is PUMP]
    for pump in pumps:
        times = times_of(platform, pump.name, "running")
        between = pump.measurements(pump.tick_before(times[0] - 1), pump.tick_before(times[-1]))
        assert times == [measured.time_us for _, measured in between if measured], (
            f"{pump.name}: a gap, or a reading twice"
        )
        assert len(times) > 10


def test_the_fleet_is_registered_with_types_groups_and_labels(platform: LivePlatform) -> None:
    platform.manage("simulate", "--once", "--devices", str(DEVICES))
    with platform.database() as connection:
        devices = connection.execute(
            "SELECT d.name, t.name, g.path, d.labels->>'site' FROM telemetry_device d "
            "JOIN telemetry_devicetype t ON t.id = d.type_id JOIN telemetry_devicegroup g ON g.id = d.group_id "
            "WHERE d.name LIKE 'sim-%%' ORDER BY d.name"
        ).fetchall()
        metrics = connection.execute(
            "SELECT m.name, m.kind, m.unit FROM telemetry_metricdefinition m "
            "JOIN telemetry_devicetype t ON t.id = m.device_type_id WHERE t.name = 'sim-meter' ORDER BY m.name"
        ).fetchall()
    assert len(devices) == DEVICES
    assert ("sim-meter-0003", "sim-meter", "simulated/yard", "yard") in devices
    assert metrics == [("energy", "counter", "kWh"), ("power", "gauge", "kW"), ("voltage", "gauge", "V")]


def test_a_second_start_uses_the_same_key_and_changes_nothing_an_operator_changed(platform: LivePlatform) -> None:
    platform.manage("simulate", "--once", "--devices", "2")
    key = key_file(platform).read_text()
    with platform.database() as connection:
        connection.execute("UPDATE telemetry_device SET description = 'mine' WHERE name = 'sim-climate-0001'")
    platform.manage("simulate", "--once", "--devices", "2")
    with platform.database() as connection:
        row = connection.execute("SELECT description FROM telemetry_device WHERE name = 'sim-climate-0001'").fetchone()
    assert row == ("mine",)
    assert key_file(platform).read_text() == key


def test_once_ends_with_an_error_where_nobody_listens(platform: LivePlatform) -> None:
    with pytest.raises(RuntimeError, match="unreachable"):
        platform.manage("simulate", "--once", "--devices", "2", "--url", "http://127.0.0.1:1")
