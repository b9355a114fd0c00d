"""Each process tells that it lives and what it uses; of killed ones the processor time stays, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from iotplatform.observability.metric_files import SharedMetrics

#: A process with two forked children; "work" keeps one of them busy.
PROCESS = """
import os, sys, time
from iotplatform.observability import metric_files
metric_files.claim(os.environ["PROMETHEUS_MULTIPROC_DIR"], "worker")
from iotplatform.observability import process_watch
process_watch.EVERY_SECONDS = 0.05
process_watch.watch("worker")
for _ in range(50):  # whoever forks while the watch writes gets a child that can still write
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        while True:
            sum(range(10_000))
            time.sleep(0.001)
    children.append(child)
print(*children, flush=True)
sys.stdin.read()
for child in children:
    os.kill(child, 9)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


@pytest.fixture
def children(folder: Path) -> Iterator[list[int]]:
    """The pids of two children of a process that watches itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS],
        env={"PROMETHEUS_MULTIPROC_DIR": str(folder), "PATH": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout and process.stdin
    yield [int(word) for word in process.stdout.readline().split()]
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def sample(folder: Path, name: str) -> float:
    registry = CollectorRegistry()
    registry.register(SharedMetrics(folder))
    return registry.get_sample_value(name, {"process": "worker"}) or 0.0


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_forked_processes_are_counted_while_they_live(folder: Path, children: list[int]) -> None:
    wait_for(lambda: sample(folder, "iot_processes") == 3)
    assert 0 < time.time() - sample(folder, "iot_process_start_time_seconds") < 30
    assert 3 * 2**20 < sample(folder, "iot_process_resident_bytes") < 2**30
    before = sample(folder, "iot_process_cpu_seconds_total")
    wait_for(lambda: sample(folder, "iot_process_cpu_seconds_total") > before + 0.02)


def test_a_killed_one_is_no_longer_counted_and_its_processor_time_stays(folder: Path, children: list[int]) -> None:
    wait_for(lambda: sample(folder, "iot_processes") == 3)
    all_three = sample(folder, "iot_process_resident_bytes")
    used = sample(folder, "iot_process_cpu_seconds_total")
    os.kill(children[0], 9)
    wait_for(lambda: sample(folder, "iot_processes") == 2)
    assert sample(folder, "iot_process_resident_bytes") < all_three
    assert sample(folder, "iot_process_cpu_seconds_total") >= used
