"""Drain workers of one machine take turns, by its cores, and never wait for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from iotplatform.turns import Turns, _running

_HOLD = """
import sys, time
from pathlib import Path
from iotplatform.turns import Turns
with Turns(Path(sys.argv[1]), 1, cores=2).turn() as mine:
    print(mine, flush=True)
    time.sleep(600)
"""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def turns(folder: Path, worker: int, cores: int, clock: Clock) -> Turns:
    """On a machine whose cores are all busy."""
    return Turns(folder, worker, cores, clock, clock.sleep, lambda: cores)


def test_on_two_cores_one_worker_drains_at_a_time(tmp_path: Path) -> None:
    clock = Clock()
    with turns(tmp_path, 1, 2, clock).turn() as first:
        assert first and clock.now == 0
        with turns(tmp_path, 2, 2, clock).turn() as second:
            assert not second, "it goes on without a turn after a while"
            assert 0.05 < clock.now < 0.2
    clock.now = 0
    with turns(tmp_path, 2, 2, clock).turn() as second:
        assert second and clock.now == 0


def test_where_no_file_can_be_made_nobody_waits(tmp_path: Path) -> None:
    clock = Clock()
    with turns(tmp_path / "missing", 1, 2, clock).turn() as mine:
        assert not mine and clock.now == 0


def test_on_four_cores_two_do(tmp_path: Path) -> None:
    clock = Clock()
    with turns(tmp_path, 1, 4, clock).turn() as first, turns(tmp_path, 2, 4, clock).turn() as second:
        assert first and second
        with turns(tmp_path, 3, 4, clock).turn() as third:
            assert not third


def test_whoever_waits_comes_in_as_soon_as_the_other_is_done(tmp_path: Path) -> None:
    clock = Clock()
    other = turns(tmp_path, 1, 2, clock).turn()
    other.__enter__()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        other.__exit__(None, None, None)

    with Turns(tmp_path, 2, 2, clock, sleep, lambda: 2).turn() as mine:
        assert mine
        assert clock.now < 0.01


@pytest.mark.parametrize(
    ("running", "waits"),
    [([1], 0.0), ([2, 3, 2, 3, 1], 0.008), ([2] * 100, 0.1), ([None] * 200, 0.1)],
)
def test_nobody_waits_while_a_core_has_nothing_to_do(tmp_path: Path, running: list[int | None], waits: float) -> None:
    clock, looks = Clock(), iter(running)
    with turns(tmp_path, 1, 2, clock).turn(), Turns(tmp_path, 2, 2, clock, clock.sleep, lambda: next(looks)).turn():
        assert clock.now == pytest.approx(waits, abs=0.002)


def test_the_kernel_says_how_many_run() -> None:
    running = _running()
    assert running is not None
    assert 0 <= running < 10_000


def test_a_worker_that_is_killed_gives_its_turn_back(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "True\n"
        with turns(tmp_path, 2, 2, Clock()).turn() as mine:
            assert not mine
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with turns(tmp_path, 2, 2, Clock()).turn() as mine:
            assert mine
