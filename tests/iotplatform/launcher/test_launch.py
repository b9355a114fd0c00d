"""`make run` as a whole, over stand-ins for the platform's own processes: start, deaths, stop, and every refusal."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests.iotplatform.launcher.waiting import until

PROJECT = Path(__file__).resolve().parents[3]
STANDINS = Path(__file__).with_name("platform_of_standins.py")
STOP_SECONDS = 10


class Run:
    """One launcher process and what it printed."""

    def __init__(self, run_dir: Path, port: int, worker: str = "worker", web: str = "web") -> None:
        self.run_dir = run_dir
        self.printed = run_dir.parent / f"printed-{time.monotonic_ns()}"
        environment = {**os.environ, "RUN_DIR": str(run_dir), "PORT": str(port), "PYTHONPATH": str(PROJECT)}
        for name in ("DATABASE_URL", "REDIS_URL", "CACHE_URL", "HOST"):
            environment.pop(name, None)
        with self.printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [sys.executable, str(STANDINS), "launch", worker, web],
                env=environment,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.printed.read_text()

    def up(self) -> "Run":
        def look() -> bool:
            assert self.process.poll() is None, self.text()
            return "The platform runs" in self.text()

        until(look, f"the platform runs:\n{self.text()}", 30)
        return self

    def pid(self, role: str) -> int | None:
        try:
            return int((self.run_dir / "pids" / role).read_text())
        except FileNotFoundError:
            return None

    def server_pid(self, name: str) -> int:
        return int(json.loads((self.run_dir / "processes.json").read_text())[name]["pid"])

    def urls(self) -> dict[str, str]:
        return json.loads((self.run_dir / "servers.json").read_text())

    def ended(self) -> int:
        return self.process.wait(STOP_SECONDS)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short path: a longer one has no room for the names of sockets, which then lie elsewhere."""
    with tempfile.TemporaryDirectory(prefix="launch-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def run(tmp_path: Path, port: int) -> Iterator[Callable[..., Run]]:
    started: list[Run] = []

    def start(**roles: str) -> Run:
        started.append(Run(tmp_path / "run", port, **roles))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
    until(lambda: not living(tmp_path / "run"), "nothing of the platform lives on")


def living(run_dir: Path) -> list[str]:
    """Command lines of processes that have to do with this RUN_DIR, by argument, environment or working directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            traces = [*process.cmdline(), process.cwd(), process.environ().get("RUN_DIR", "")]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(trace.startswith(str(run_dir)) for trace in traces):
            found.append(" ".join(traces))
    return found


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def another(run: Run, role: str, old: int) -> int:
    return until(lambda: (pid := run.pid(role)) != old and pid, f"{role} was started again")


def test_it_tells_where_to_look_and_stops_cleanly_in_order(run: Callable[..., Run], port: int) -> None:
    platform = run().up()
    until(lambda: "worker says hello" in platform.text(), "the worker's output shows under its name")
    assert f"http://127.0.0.1:{port}/" in platform.text()
    assert "Login      admin" in platform.text()
    assert oct((platform.run_dir / "servers.json").stat().st_mode)[-3:] == "600"
    assert "worker says hello" in (platform.run_dir / "logs" / "worker.log").read_text()
    platform.process.send_signal(signal.SIGINT)
    assert platform.ended() == 0
    assert (platform.run_dir / "events").read_text().split() == ["web", "worker"]
    assert living(platform.run_dir) == []
    assert list((platform.run_dir / "sockets").iterdir()) == []


def test_whatever_is_killed_comes_back(run: Callable[..., Run]) -> None:
    platform = run(worker="forking").up()
    worker = until(lambda: platform.pid("worker"), "the worker runs")
    worker_child = until(lambda: platform.pid("worker-child"), "the worker's child runs")
    web, web_worker = platform.pid("web"), platform.pid("web-worker")
    assert web and web_worker
    with psycopg.connect(platform.urls()["database_url"]) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    for pid in (worker, web, platform.server_pid("postgres"), platform.server_pid("log")):
        os.kill(pid, signal.SIGKILL)
    another(platform, "worker", worker)
    another(platform, "web", web)
    another(platform, "web-worker", web_worker)
    assert not alive(worker_child), "a child of the killed worker still works beside the new one"
    assert not alive(web_worker), "a worker of the killed web server still holds its port"

    def servers_answer() -> bool:
        try:
            redis.Redis.from_url(platform.urls()["redis_url"]).ping()
            psycopg.connect(platform.urls()["database_url"]).execute("SELECT n FROM kept")
        except (redis.RedisError, psycopg.OperationalError):
            return False
        return True

    until(servers_answer, "the servers are back with their data")
    platform.process.send_signal(signal.SIGTERM)
    assert platform.ended() == 0


def test_nothing_outlives_a_killed_launcher_and_the_next_start_has_the_data(run: Callable[..., Run]) -> None:
    platform = run().up()
    with psycopg.connect(platform.urls()["database_url"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    redis.Redis.from_url(platform.urls()["redis_url"]).set("kept", 7)
    platform.process.kill()
    platform.process.wait()
    again = run().up()  # at once: the first one's servers may still be shutting down
    with psycopg.connect(again.urls()["database_url"]) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]
    assert redis.Redis.from_url(again.urls()["redis_url"]).get("kept") == b"7"
    again.process.kill()
    until(lambda: not living(again.run_dir), "nothing lives on", STOP_SECONDS)


def test_after_everything_is_killed_at_once_the_next_start_comes_up(run: Callable[..., Run]) -> None:
    platform = run().up()
    for process in [*psutil.Process(platform.process.pid).children(recursive=True), platform.process]:
        process.kill()
    platform.process.wait()
    again = run().up()
    again.process.send_signal(signal.SIGINT)
    assert again.ended() == 0


def test_a_second_start_says_who_runs(run: Callable[..., Run]) -> None:
    first = run().up()
    second = run()
    assert second.ended() == 1
    assert second.text().count("\n") == 1
    assert f"already runs in {first.run_dir} (pid {first.process.pid})" in second.text()
    assert first.process.poll() is None


def test_a_taken_port_is_named(run: Callable[..., Run], port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        refused = run()
        assert refused.ended() == 1
    assert refused.text().count("\n") == 1
    assert f"port {port} of 127.0.0.1 is taken" in refused.text()
    assert "PORT=" in refused.text()
    assert "Traceback" not in refused.text()


def test_a_web_server_that_cannot_start_ends_the_start_with_its_last_words(run: Callable[..., Run]) -> None:
    refused = run(web="broken")
    assert refused.ended() == 1
    assert "broken on purpose" in refused.text().partition("make run:")[2]
    assert "Traceback" not in refused.text()
    assert living(refused.run_dir) == []


def test_a_process_that_will_not_stop_is_killed_in_time(run: Callable[..., Run]) -> None:
    platform = run(worker="stubborn").up()
    until(lambda: platform.pid("worker"), "the worker runs")
    asked = time.monotonic()
    platform.process.send_signal(signal.SIGTERM)
    assert platform.ended() == 0
    assert time.monotonic() - asked < STOP_SECONDS
    assert living(platform.run_dir) == []


def test_a_run_dir_that_cannot_be_written_is_named(run: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    refused = run()
    assert refused.ended() == 1
    assert f"RUN_DIR {tmp_path / 'run'} is not writable" in refused.text()
    assert "Traceback" not in refused.text()


def test_the_servers_can_run_alone_for_a_restore(tmp_path: Path, port: int) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "iotplatform.launcher", "--servers"],
            cwd=PROJECT,
            env={**environment, "RUN_DIR": str(tmp_path / "run"), "PORT": str(port)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: "nothing else does" in printed.read_text() or process.poll() is not None, "the servers run", 60)
        urls = json.loads((tmp_path / "run" / "servers.json").read_text())
        with psycopg.connect(urls["database_url"]) as connection:
            assert connection.execute("SELECT to_regclass('django_migrations')").fetchone() == (None,)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)), "no web server answers"
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    until(lambda: not living(tmp_path / "run"), "no server lives on")
