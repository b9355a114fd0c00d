"""The metrics of all processes add up, those of killed ones included, and the folder does not grow with them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from iotplatform.observability.metric_files import SharedMetrics

WRITER = """
import os, sys
from iotplatform.observability import metric_files
metric_files.claim(os.environ["PROMETHEUS_MULTIPROC_DIR"], sys.argv[1])
from prometheus_client import Counter, Gauge, Histogram
count = Counter("things", "Things.", ["kind"])
gauge = Gauge("busy", "Busy.", multiprocess_mode="livesum")
times = Histogram("took", "Took.", buckets=(1, 10))
count.labels("a").inc(2); gauge.inc(); times.observe(0.5); times.observe(5)
if sys.argv[2:] == ["fork"]:
    child = os.fork()
    if child == 0:
        count.labels("a").inc(100); gauge.inc()
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "metrics"


@pytest.fixture
def start(folder):
    """Start a process that counts and then lives until it is killed."""
    alive = []

    def start(name: str, *options: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, name, *options],
            env={"PROMETHEUS_MULTIPROC_DIR": str(folder), "PATH": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout.readline() == b"counted\n"
        alive.append(process)
        return process

    yield start
    for process in alive:
        kill(process)


def kill(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


def sample(folder: Path, name: str, labels: dict[str, str] | None = None) -> float | None:
    registry = CollectorRegistry()
    registry.register(SharedMetrics(folder))
    return registry.get_sample_value(name, labels or {})


def test_processes_add_up(folder, start):
    start("web"), start("drain1")
    assert sample(folder, "things_total", {"kind": "a"}) == 4
    assert sample(folder, "busy") == 2
    assert sample(folder, "took_bucket", {"le": "1.0"}) == 2
    assert sample(folder, "took_count") == 4


def test_a_killed_process_keeps_its_counts_and_loses_its_gauges(folder, start):
    kill(start("drain1"))
    start("drain1")
    assert sample(folder, "things_total", {"kind": "a"}) == 4
    assert sample(folder, "busy") == 1
    assert sample(folder, "took_bucket", {"le": "1.0"}) == 2
    assert sample(folder, "took_sum") == 11


def test_files_do_not_grow_with_the_dead(folder, start):
    for _ in range(5):
        kill(start("drain1"))
    assert sample(folder, "things_total", {"kind": "a"}) == 10
    assert sorted(path.name for path in folder.iterdir()) == ["counter_gone.db", "histogram_gone.db", "lock"]
    assert sample(folder, "things_total", {"kind": "a"}) == 10


def test_a_forked_process_counts_for_itself(folder, start):
    start("web", "fork")
    assert sample(folder, "things_total", {"kind": "a"}) == 102
    assert sample(folder, "busy") == 1
