"""The metrics of a worker that forks: complete while its children are killed and replaced, and never less than before."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis
from prometheus_client import CollectorRegistry

from iotplatform.celery import app
from iotplatform.env import config
from iotplatform.launcher import processes
from iotplatform.observability.metric_files import SharedMetrics
from iotplatform.queues import DEFAULT_QUEUE

pytestmark = pytest.mark.slow

_CHILDREN = 2
_KILLS = 4
_TASK = "iotplatform.tasks.beat_heart"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


@pytest.fixture
def worker(folder: Path, tmp_path: Path, redis_client: redis.Redis) -> Iterator[psutil.Process]:
    """The general worker with processes in place of threads, which are replaced after a few tasks."""
    line = list(processes.worker(config).argv)
    line[line.index("threads")] = "prefork"
    line[line.index("--concurrency") + 1] = str(_CHILDREN)
    yield from running([*line, "--max-tasks-per-child", "5"], "worker", folder, tmp_path)


@pytest.fixture
def beat(folder: Path, tmp_path: Path, redis_client: redis.Redis) -> Iterator[psutil.Process]:
    line = list(processes.beat(config).argv)
    line[line.index("--schedule") + 1] = str(tmp_path / "schedule")
    yield from running(line, "beat", folder, tmp_path)


def running(line: list[str], name: str, folder: Path, at: Path) -> Iterator[psutil.Process]:
    environment = {**os.environ, "PROCESS_NAME": name, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    with (at / f"{name}.log").open("wb") as log:
        started = subprocess.Popen(line, env=environment, stdout=log, stderr=log, start_new_session=True)
    process = psutil.Process(started.pid)
    try:
        yield process
    finally:
        for each in family(process):
            each.kill()
        started.wait(10)


def family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_a_child(process: psutil.Process) -> bool:
    try:
        family(process)[1].kill()
    except (IndexError, psutil.NoSuchProcess):  # it is just being replaced
        return False
    return True


def samples(folder: Path) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(SharedMetrics(folder))
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def counters(found: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """What only grows."""
    return {key: value for key, value in found.items() if key[0].endswith(("_total", "_count", "_bucket", "_sum"))}


def test_sums_never_fall_and_the_dead_are_not_counted_among_the_living(
    worker: psutil.Process, folder: Path, redis_client: redis.Redis
) -> None:
    def alive() -> bool:
        return folder.exists() and samples(folder).get(("iot_processes", "worker")) == 1 + _CHILDREN

    def ran() -> float:
        return samples(folder).get(("iot_task_seconds_count", _TASK), 0.0)

    wait_until(alive, "a worker with its children")
    assert ran() == 0
    before = counters(samples(folder))
    sent = 0

    def sent_and_ran(more: float) -> bool:
        """What was on its way to a killed child is lost to Celery: so it is sent again until enough ran."""
        nonlocal sent
        if not redis_client.llen(f"celery:{DEFAULT_QUEUE}"):
            app.send_task(_TASK, queue=DEFAULT_QUEUE)
            sent += 1
        return ran() >= more

    for _ in range(_KILLS):
        wait_until(lambda: kill_a_child(worker), "a child to kill")
        more = ran() + 4
        wait_until(lambda more=more: sent_and_ran(more), "tasks after a child was killed")
        after = counters(samples(folder))
        assert not {key: (value, after.get(key)) for key, value in before.items() if after.get(key, -1.0) < value}
        before = after
    # 5 tasks a child: there were more children than are left, and each left its counts behind.
    assert 5 * _CHILDREN < ran() <= sent, "all are counted, and none twice"
    wait_until(alive, "as many processes as there are")
    found = samples(folder)
    assert found[("iot_process_resident_bytes", "worker")] > 3 * 2**20
    assert found[("iot_process_cpu_seconds_total", "worker")] > 0


def test_when_beat_is_gone_its_last_tick_is_gone_too(beat: psutil.Process, folder: Path) -> None:
    def tick() -> float:
        return samples(folder).get(("iot_beat_last_tick_timestamp_seconds",), 0.0) if folder.exists() else 0.0

    wait_until(lambda: time.time() - tick() < 30, "beat")
    first = tick()
    wait_until(lambda: tick() > first, "its next tick")
    beat.kill()
    wait_until(lambda: ("iot_beat_last_tick_timestamp_seconds",) not in samples(folder), "its metric to vanish")
    assert samples(folder).get(("iot_processes", "beat")) is None
