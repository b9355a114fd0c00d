"""The metrics of all processes add up, those of killed ones included, and the folder does not grow with them."""

import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from iotplatform.observability.metric_files import SharedMetrics, fold_dead

WRITER = """
import os, sys, time
from pathlib import Path
from iotplatform.observability import metric_files
if "container" in sys.argv:
    os.getpid = lambda: 1
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
if sys.argv[2:] == ["fork-during-scrape"]:
    with metric_files._locked(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])):
        child = os.fork()
        if child == 0:
            os._exit(0)
    until = time.monotonic() + 10
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > until:
            os.kill(child, 9)
            sys.exit("the child waits for itself")
        time.sleep(0.01)
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


def test_a_container_that_starts_again_with_the_same_pid_does_not_go_on_with_the_gauges_of_the_dead(folder, start):
    kill(start("worker", "container"))
    start("worker", "container")
    assert sample(folder, "busy") == 1
    assert sample(folder, "things_total", {"kind": "a"}) == 4


def test_whoever_is_killed_while_folding_counts_nothing_twice_and_nothing_never(folder, start, tmp_path, monkeypatch):
    """Folding is cut off before its first change to the folder, before its second, and so on to the last."""
    kill(start("drain1"))
    kill(start("drain2"))
    for steps in count():
        copy = shutil.copytree(folder, tmp_path / f"cut-{steps}")
        cut_off = folding_is_cut_off(copy, steps, monkeypatch)
        for _ in range(2):
            assert sample(copy, "things_total", {"kind": "a"}) == 4, f"cut off after {steps} changes"
            assert sample(copy, "took_count") == 4, f"cut off after {steps} changes"
        assert sorted(path.name for path in copy.iterdir()) == ["counter_gone.db", "histogram_gone.db", "lock"]
        if not cut_off:
            break
    assert steps > 8, "there were places to be cut off at"


def folding_is_cut_off(folder: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Fold, but die at the change to the folder that comes after so many; answers whether it came that far."""
    left = [steps]

    def dying(change):
        def change_or_die(*arguments, **options):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return change(*arguments, **options)

        return change_or_die

    with monkeypatch.context() as patch:
        for name in ("unlink", "rename", "write_text"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        try:
            fold_dead(folder)
        except KeyboardInterrupt:
            return True
    return False


def test_files_do_not_grow_with_the_dead(folder, start):
    for _ in range(5):
        kill(start("drain1"))
    assert sample(folder, "things_total", {"kind": "a"}) == 10
    assert sorted(path.name for path in folder.iterdir()) == ["counter_gone.db", "histogram_gone.db", "lock"]
    assert sample(folder, "things_total", {"kind": "a"}) == 10


def test_a_file_that_is_just_being_made_or_was_never_finished_fails_no_scrape(folder, start):
    process = start("drain1")
    (alive,) = folder.glob("drain1*.alive")
    (folder / f"counter_{alive.stem}.db").unlink()
    (folder / f"counter_{alive.stem}.db").touch()
    assert sample(folder, "busy") == 1
    kill(process)
    assert sample(folder, "took_count") == 2
    assert sorted(path.name for path in folder.iterdir()) == ["counter_gone.db", "histogram_gone.db", "lock"]


def test_a_forked_process_counts_for_itself(folder, start):
    start("web", "fork")
    assert sample(folder, "things_total", {"kind": "a"}) == 102
    assert sample(folder, "busy") == 1


def test_a_process_that_forks_while_it_is_scraped_does_not_hold_itself_up(folder, start):
    start("web", "fork-during-scrape")
    assert sample(folder, "busy") == 1
