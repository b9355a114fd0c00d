"""Data that is not what it was: the log destroyed or set back, the database set back."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.load import Load, Outcome
from tests.faults.watcher import Promises
from tests.live import LivePlatform

__all__ = ["database_set_back", "drains_stopped", "log_emptied", "log_set_back"]


def log_emptied(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """The log server comes back with nothing. What waited is lost and its receipts say so, nothing else is."""

    def destroy(_: random.Random, load: Load) -> None:
        platform.kill("log")
        shutil.rmtree(platform.servers.data_dir("log"))
        platform.restart("log")

    return _destroy_log(platform, rounds, seed, destroy)


def log_set_back(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """The log server comes back with an older copy of its data: much of that was stored long ago."""
    data = platform.servers.data_dir("log")

    def destroy(chance: random.Random, load: Load) -> None:
        platform.stop("log")
        with _copy_of(data) as copy:
            platform.restart("log")
            load.wait_for_accepted(chance.randint(5, 60))
            platform.kill("log")
            _replace(data, copy)
            platform.restart("log")

    return _destroy_log(platform, rounds, seed, destroy)


def database_set_back(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """The database fails over to a copy of itself that is some seconds old: the log still has what the copy lacks."""
    data = platform.servers.data_dir("postgres")
    chance = random.Random(seed)
    with Load(platform, seed) as load:
        for _ in range(rounds):
            load.wait_for_accepted(chance.randint(5, 60))
            platform.stop("postgres")
            with _copy_of(data) as copy:
                platform.restart("postgres")
                load.wait_for_accepted(chance.randint(5, 120))
                platform.kill("postgres")
                load.database_replaced()
                _replace(data, copy)
                platform.restart("postgres")
                load.database_replaced()
        load.wait_for_accepted(50)
        return load.finish()


def _destroy_log(platform: LivePlatform, rounds: int, seed: int, destroy: object) -> Outcome:
    assert callable(destroy)
    chance = random.Random(seed)
    with Load(platform, seed, Promises(may_lose=True)) as load:
        for number in range(rounds):
            load.wait_for_accepted(chance.randint(20, 120))
            if number % 2:
                destroy(chance, load)
            else:
                with drains_stopped(platform):  # so that much waits, and is lost for certain
                    load.wait_for_accepted(chance.randint(5, 40))
                    destroy(chance, load)
        load.wait_for_accepted(50)
        return load.finish()


@contextmanager
def drains_stopped(platform: LivePlatform) -> Iterator[None]:
    members = [member for name in ("drain1", "drain2") for member in platform.family(name)]
    for member in members:
        member.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for member in members:
            member.send_signal(signal.SIGCONT)


@contextmanager
def _copy_of(data: Path) -> Iterator[Path]:
    """A copy of a stopped server's data, owners and rights included; gone again afterwards."""
    copy = data.with_name(f"{data.name}.copy")
    _copy(data, copy)
    try:
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _replace(data: Path, copy: Path) -> None:
    shutil.rmtree(data)
    _copy(copy, data)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)  # shutil.copytree forgets the owner
