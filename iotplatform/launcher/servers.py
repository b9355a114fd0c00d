"""The embedded servers as one set.

The launcher supervises them; tests and benchmarks run them through `EmbeddedServers`.
"""

import concurrent.futures
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from iotplatform.launcher import valkey
from iotplatform.launcher.command import Command
from iotplatform.launcher.errors import LaunchError
from iotplatform.launcher.postgres import Postgres
from iotplatform.launcher.rundir import RunDir

__all__ = ["EmbeddedServers", "Server", "choose", "record"]

_LOOK_SECONDS = 0.05
_START_SECONDS = 60.0
_TAIL_BYTES = 4000

# A process dies with the *thread* that started it (orphans.py), so one thread starts them all and lives as long as
# this process: a test may restart a server from a thread that ends long before the server should.
_starter = concurrent.futures.ThreadPoolExecutor(1, "embedded-servers")


class Server(Protocol):
    """What the launcher needs to know of a server."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    def prepare(self) -> None: ...
    def command(self) -> Command: ...
    def answers(self) -> bool: ...


def choose(
    run_dir: RunDir, *, postgres: bool = True, log: bool = True, cache: bool = True, log_maxmemory: str = "1gb"
) -> dict[str, Server]:
    """The wanted servers of this RUN_DIR by name, in the order to start them."""
    sockets = run_dir.sockets()
    chosen: dict[str, Server] = {}
    if postgres:
        chosen["postgres"] = Postgres(run_dir.path / "postgres", sockets)
    if log:
        chosen["log"] = valkey.log_server(run_dir.path / "redis-log", sockets / "log.sock", log_maxmemory)
    if cache:
        chosen["cache"] = valkey.cache_server(run_dir.path / "redis-cache", sockets / "cache.sock")
    return chosen


def record(run_dir: RunDir, servers: Mapping[str, Server]) -> None:
    """Write servers.json, by which every other process finds the servers."""
    keys = {"postgres": "database_url", "log": "redis_url", "cache": "cache_url"}
    urls = {keys[name]: server.url for name, server in servers.items()}
    run_dir.write("servers.json", {**urls, "socket_dir": str(run_dir.sockets())} if servers else {})


class EmbeddedServers:
    """Private servers in a directory of their own, for tests and benchmarks.

        with EmbeddedServers(tmp_path) as servers:
            connect(servers.database_url)
            servers.kill("log")     # SIGKILL, as in a crash
            servers.restart("log")  # with its data

    Names are "postgres", "log" and "cache". Every method blocks until done (a server
    that is started answers) and raises LaunchError with the server's last words
    where it does not come up. All may be called from any thread, one at a time.
    """

    def __init__(
        self,
        run_dir: Path,
        postgres: bool = True,
        log: bool = True,
        cache: bool = True,
        log_maxmemory: str = "1gb",
    ) -> None:
        self._path = run_dir
        self._wanted = {"postgres": postgres, "log": log, "cache": cache}
        self._log_maxmemory = log_maxmemory
        self._run_dir: RunDir | None = None
        self._servers: dict[str, Server] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def database_url(self) -> str:
        return self._servers["postgres"].url

    @property
    def redis_url(self) -> str:
        return self._servers["log"].url

    @property
    def cache_url(self) -> str:
        return self._servers["cache"].url

    def data_dir(self, name: str) -> Path:
        """Where a server keeps its data: to be replaced by a copy while it is stopped."""
        return self._path.absolute() / {"postgres": "postgres", "log": "redis-log", "cache": "redis-cache"}[name]

    def start(self) -> Self:
        """Start all of them; none is left running where one fails."""
        self._run_dir = RunDir(self._path)
        try:
            self._servers = choose(self._run_dir, **self._wanted, log_maxmemory=self._log_maxmemory)
            record(self._run_dir, self._servers)
            for name in self._servers:
                self._spawn(name)
            for name in self._servers:
                self._wait(name)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, name: str | None = None) -> None:
        """Stop one or all of them in good order; those that are down already stay so."""
        for each in [name] if name else list(reversed(self._servers)):
            self._end(each)
        if name is None and self._run_dir is not None:
            self._run_dir.remove_sockets()
            self._run_dir.close()
            self._run_dir = None

    def kill(self, name: str) -> None:
        """SIGKILL, as in a crash; it stays down until `restart`."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def restart(self, name: str) -> None:
        """Start it again, with its data; one that runs is stopped first."""
        self._end(name)
        self._spawn(name)
        self._wait(name)

    def pid(self, name: str) -> int:
        """Process id of a running server."""
        return self._processes[name].pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self, name: str) -> None:
        server = self._servers[name]
        server.prepare()
        self._processes[name] = _starter.submit(_run, server.command().line(), self._output(name)).result()

    def _wait(self, name: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._servers[name].answers():
            status = self._processes[name].poll()
            if status is not None or time.monotonic() > deadline:
                how = "does not answer" if status is None else f"ended with exit code {status}"
                raise LaunchError(f"{name} {how}; its last words:\n{_tail(self._output(name))}")
            time.sleep(_LOOK_SECONDS)

    def _end(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        command = self._servers[name].command()
        for signum in (command.stop_signal, command.last_resort or signal.SIGKILL, signal.SIGKILL):
            process.send_signal(signum)
            try:
                process.wait(command.stop_seconds)
            except subprocess.TimeoutExpired:
                continue
            return

    def _output(self, name: str) -> Path:
        return self._path.absolute() / "logs" / f"{name}.log"


def _run(line: Sequence[str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as log:
        return subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _tail(output: Path) -> str:
    return output.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
