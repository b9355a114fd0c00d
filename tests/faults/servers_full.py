"""Servers that run and have no room left: the log without memory, the log and the database on a full disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis

from iotplatform.launcher.errors import LaunchError
from tests.faults.load import Load, Outcome
from tests.faults.replaced import drains_stopped
from tests.live import LivePlatform

__all__ = ["database_disk_full", "log_disk_full", "log_memory_full", "platform_that_keeps_little"]

_WELL_SECONDS = 30.0
_MIB = 1 << 20
_ROOM = _MIB
_FILLED_SECONDS = 90.0
#: Of a disk for the data of a server, in MiB: what it has there, and some for a load of seconds.
_DISKS = {"log": 128, "postgres": 640}
_WITHOUT_ROOM_SECONDS = 9.0


def platform_that_keeps_little(run_dir: Path) -> LivePlatform:
    """Stored entries stay in the log for some seconds only: memory that was full is free again in time to see it."""
    return LivePlatform(run_dir, LOG_KEEP_SECONDS="3")


def log_memory_full(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """The log server's memory fills up while drains stand still: they free it again, and intake opens by itself.

    In the first round, and every second one, it is then half of what it holds: no write is possible, nor a message to a
    worker. What was accepted is stored all the same; and all is well when there is memory again.
    """
    with Load(platform, seed) as load, platform.redis() as client:
        before = client.config_get("maxmemory")["maxmemory"]
        try:
            for number in range(rounds):
                load.wait_for_accepted(20)
                with drains_stopped(platform):
                    # Intake stops at nine tenths.
                    client.config_set("maxmemory", (_used(client) + _ROOM) * 10 // 9)
                    load.wait_for_answers(503, 20, _FILLED_SECONDS)
                    if number % 2 == 0:
                        client.config_set("maxmemory", _used(client) // 2)
                        _nothing_is_accepted(load, "no memory to write them")
                if number % 2 == 0:
                    _everything_is_stored(load, "without memory")
                    _nothing_is_accepted(load, "no memory to write them")
                    client.config_set("maxmemory", before)
                load.recovers_within(_WELL_SECONDS, "memory was full")
                client.config_set("maxmemory", before)
        finally:
            client.config_set("maxmemory", before)
        if platform.died:
            load.ledger.broken(f"ended by themselves: {platform.died}")
        return load.finish()


def log_disk_full(folder: Path, rounds: int, seed: int) -> Outcome:
    """The disk of the log server is full: it ends rather than answer what it cannot write; with room it goes on."""
    return _on_small_disk(folder, "log", rounds, seed)


def database_disk_full(folder: Path, rounds: int, seed: int) -> Outcome:
    """The disk of PostgreSQL is full: accepted readings wait in the log until there is room."""
    return _on_small_disk(folder, "postgres", rounds, seed)


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _nothing_is_accepted(load: Load, why: str) -> None:
    load.wait_for_answers(503, 10)
    accepted = load.ledger.accepted_at_once
    load.run_for(2)
    if load.ledger.accepted_at_once != accepted:
        load.ledger.broken(f"readings answered 202 with {why}")


def _everything_is_stored(load: Load, how: str) -> None:
    """What was accepted so far; within the time for recovering."""

    def waiting() -> int:
        return sum(record.accepted and record.told in ("", "pending") for record in load.ledger.records)

    try:
        load.ledger.wait_for(lambda: not waiting(), _WELL_SECONDS, how)
    except AssertionError:
        load.ledger.broken(f"{waiting()} batches still wait after {_WELL_SECONDS:.0f} s {how}")


def _on_small_disk(folder: Path, name: str, rounds: int, seed: int) -> Outcome:
    with _small_disk(folder / name / "disk", _DISKS[name]) as disk:
        if disk is None:
            return Outcome(untried="mounting a tmpfs is not allowed here")
        with LivePlatform(folder / name / "p") as platform:
            _move(platform, name, disk / "data")
            with Load(platform, seed) as load:
                for _ in range(rounds):
                    load.wait_for_accepted(30)
                    ballast = _fill(disk)
                    try:
                        _live_without_room(platform, load, name)
                    finally:
                        ballast.unlink()
                    _look_after(platform, name)
                    load.recovers_within(_WELL_SECONDS, f"the disk of {name} has room again")
                return load.finish()


def _move(platform: LivePlatform, name: str, to: Path) -> None:
    """A server's data goes to another disk."""
    data = platform.servers.data_dir(name)
    platform.stop(name)
    subprocess.run(["cp", "-a", str(data), str(to)], check=True)  # owners and rights included
    shutil.rmtree(data)
    data.symlink_to(to)
    platform.restart(name)


def _live_without_room(platform: LivePlatform, load: Load, name: str) -> None:
    """Some seconds on a full disk; a server that ends is started again, as whoever watches over it does."""
    for _ in range(6):
        load.run_for(_WITHOUT_ROOM_SECONDS / 6)
        with contextlib.suppress(LaunchError):
            _look_after(platform, name)
    if name == "log":
        _nothing_is_accepted(load, "no room on the disk to write them")


def _look_after(platform: LivePlatform, name: str) -> None:
    """Start it again if it ended. Raises LaunchError where it does not come up."""
    try:
        if name == "log":
            with platform.redis() as client:
                client.ping()
        else:
            platform.database().close()
    except (redis.RedisError, psycopg.Error):
        platform.restart(name)


def _fill(disk: Path) -> Path:
    """Take all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\1" * 4096)
    return ballast


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[Path | None]:
    """A disk of so many MiB; None where it may not be mounted."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=755", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and not subprocess.run(command, capture_output=True).returncode
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)
