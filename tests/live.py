"""The whole platform as `make run` has it, private to a test: servers and processes with the launcher's command lines.

with LivePlatform(tmp_path) as platform:
    key = platform.provision("pump-7")
    platform.post({"metrics": {"temperature": 21.5}}, key)
    platform.kill("drain1")     # SIGKILL, as in a crash; it stays down …
    platform.restart("drain1")  # … until it is started again
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psutil
import psycopg
import redis

from iotplatform import env
from iotplatform.env import BASE_DIR, Config
from iotplatform.launcher import processes
from iotplatform.launcher.command import Command
from iotplatform.launcher.servers import EmbeddedServers

__all__ = ["Answer", "LivePlatform", "free_port"]

_READY_SECONDS = 60.0
_SERVERS = ("postgres", "log", "cache")

# A process dies with the thread that started it; this one lives as long as the tests do.
_starter = concurrent.futures.ThreadPoolExecutor(1, "live-platform")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def own_database() -> Iterator[str | None]:
    """The URL of an empty database on the server of TEST_DATABASE_URL, which may have TimescaleDB; None where none is given."""
    given = os.environ.get("TEST_DATABASE_URL")
    if not given:
        yield None
        return
    name = f"iot_live_{os.getpid()}"
    with psycopg.connect(given, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(given)._replace(path=f"/{name}").geturl()
        finally:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class LivePlatform:
    """Embedded servers, web, drain workers, general worker and beat (no simulator) in one RUN_DIR; a context manager.

    Names: "postgres", "log" and "cache" are servers; "web", "drain1", "drain2", "worker" and "beat" are processes.
    Every method blocks until it is done, and may be called from any thread. ``run_dir`` should be short, for Unix
    sockets lie in it (a longer one works too).

    ``settings``: environment variables such as ``SHARDS="2"``. ``run``: which processes run from the start (all of them
    if left out); the others can be started with `restart`. ``database_url``: a migrated or empty database of one's own
    in place of the embedded server. ``wire``: called once the servers run, it answers environment variables by process
    that only this one has (such as a DATABASE_URL with a broken network in between); `manage` has none of them.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        run: Collection[str] | None = None,
        database_url: str | None = None,
        wire: Callable[[LivePlatform], Mapping[str, Mapping[str, str]]] | None = None,
        **settings: str,
    ) -> None:
        self.run_dir = run_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.servers = EmbeddedServers(run_dir, postgres=database_url is None)
        self.environment: dict[str, str] = {}
        self._given = database_url
        self._settings = settings
        self._run = run
        self._wire = wire
        self._own: Mapping[str, Mapping[str, str]] = {}
        self._commands: dict[str, Command] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    # --- start and stop -----------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start everything; returns when it takes requests. Nothing is left running where that fails."""
        try:
            self.servers.start()
            self.environment = self._environment()
            config = env.load(self.environment)
            processes.metrics_dir(config).mkdir(exist_ok=True)
            self._commands = {command.name: command for command in processes.platform(config)}
            self.manage("migrate", "--noinput")
            self._own = self._wire(self) if self._wire else {}
            for name in self._commands:
                if self._run is None or name in self._run:
                    self._spawn(name)
            if "web" in self._running:
                self._wait_for_web()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, name: str | None = None) -> None:
        """Stop one or all in good order; what is down already stays so."""
        if name in _SERVERS:
            self.servers.stop(name)
            return
        chosen = [name] if name else sorted(self._running, key=lambda each: self._commands[each].stage)
        for each in chosen:
            self._end(each)
        if name is None:
            self.servers.stop()

    def kill(self, name: str) -> None:
        """SIGKILL to a server, or to a process and everything it forked; it stays down until `restart`."""
        if name in _SERVERS:
            self.servers.kill(name)
            return
        process = self._running.pop(name)
        members = _family(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        psutil.wait_procs(members, timeout=10)

    def restart(self, name: str) -> None:
        """Start it again, with its data; one that runs is stopped first. Web answers when this returns."""
        if name in _SERVERS:
            self.servers.restart(name)
            return
        self._end(name)
        self._spawn(name)
        if name == "web":
            self._wait_for_web()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add(self, command: Command) -> None:
        """One more process beside those of `make run`; `restart` starts it."""
        self._commands[command.name] = command

    # --- look inside ----------------------------------------------------------------------------------------------

    @property
    def running(self) -> list[str]:
        """Names of the processes (servers not among them) that were started and not stopped."""
        return list(self._running)

    @property
    def died(self) -> list[str]:
        """Those among them that ended by themselves, or were killed by somebody else."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    @property
    def config(self) -> Config:
        """The settings that its processes have."""
        return env.load(self.environment)

    def command(self, name: str) -> Command:
        """What a process is before it runs."""
        return self._commands[name]

    @property
    def database_url(self) -> str:
        return self._given or self.servers.database_url

    @property
    def redis_url(self) -> str:
        return self.servers.redis_url

    def family(self, name: str) -> list[psutil.Process]:
        """A process and what it forked: of "web" the main process first, then its workers."""
        return _family(self._running[name].pid)

    def memory(self, name: str) -> int:
        """Resident bytes of a process with what it forked; shared pages count in each."""
        return sum(_resident(member) for member in self.family(name))

    def log(self, name: str) -> str:
        """What a process printed so far."""
        return self._log_file(name).read_text(errors="replace")

    def database(self) -> psycopg.Connection[Any]:
        """A new connection to the database, in autocommit mode."""
        return psycopg.connect(self.database_url, autocommit=True)

    def redis(self) -> redis.Redis:
        """A new client of the log server."""
        return redis.Redis.from_url(self.redis_url)

    # --- use it ---------------------------------------------------------------------------------------------------

    def manage(self, *arguments: str) -> str:
        """Run a management command to its end; what it printed. Raises RuntimeError if it fails."""
        line = [sys.executable, str(BASE_DIR / "manage.py"), *arguments]
        done = subprocess.run(line, cwd=BASE_DIR, env=self.environment, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(f"manage.py {' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def provision(self, device: str, *options: str) -> str:
        """Register a device if it is new; a key for it. Options as of provision_device: "--all", "--backfill" …"""
        printed = self.manage("provision_device", device, "--json", *options)
        return str(json.loads(printed.splitlines()[-1])["key"])

    def post(self, body: Any, key: str, query: str = "", timeout: float = 30.0, **headers: str) -> Answer:
        """POST /api/v1/readings; ``body`` is JSON or bytes. Raises OSError where no answer comes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", f"/api/v1/readings{query}", data, sent, timeout)

    def get(self, path: str, key: str = "", timeout: float = 30.0) -> Answer:
        """GET a path, with a device key or a JWT if one is given. Raises OSError where no answer comes."""
        return self.request("GET", path, None, {"Authorization": f"Bearer {key}"} if key else {}, timeout)

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float = 30.0
    ) -> Answer:
        """One request on a connection of its own. Raises OSError where no answer comes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except http.client.HTTPException as error:
            raise ConnectionError(f"no answer: {error!r}") from error
        finally:
            connection.close()

    def wait_until(self, condition: Callable[[], Any], seconds: float = 30.0, what: str = "") -> Any:
        """Wait for a condition to hold; answers what it answered. Raises AssertionError when the time is up."""
        end = time.monotonic() + seconds
        while not (answer := condition()):
            assert time.monotonic() < end, f"not within {seconds} s: {what or condition}"
            time.sleep(0.02)
        return answer

    # --- inside ---------------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"}
        return {
            **inherited,
            "RUN_DIR": str(self.run_dir.absolute()),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.servers.redis_url,
            "CACHE_URL": self.servers.cache_url,
            "SIMULATOR": "off",
            "DJANGO_SETTINGS_MODULE": "iotplatform.settings",
            "PYTHONPATH": str(BASE_DIR),
            **self._settings,
        }

    def _spawn(self, name: str) -> None:
        environment = {**self.environment, **self._own.get(name, {})}
        self._running[name] = _starter.submit(_run, self._commands[name], environment, self._log_file(name)).result()

    def _end(self, name: str) -> None:
        process = self._running.pop(name, None)
        if process is None:
            return
        command, members = self._commands[name], _family(process.pid)
        process.send_signal(command.stop_signal)
        try:
            process.wait(command.stop_seconds + 5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for member in psutil.wait_procs(members, timeout=5)[1]:
            member.kill()

    def _wait_for_web(self) -> None:
        def answers() -> bool:
            assert self._running["web"].poll() is None, f"web ended; its last words:\n{self.log('web')[-4000:]}"
            try:
                return self.get("/healthz", timeout=2).status == 200
            except OSError:
                return False

        self.wait_until(answers, _READY_SECONDS, "web")

    def _log_file(self, name: str) -> Path:
        return self.run_dir / "logs" / f"{name}.log"


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: Command, environment: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as log:
        return subprocess.Popen(
            command.line(),
            cwd=BASE_DIR,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _family(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
