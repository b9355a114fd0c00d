"""The platform as `make run` starts it: one launcher, and everything below it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

from iotplatform.env import BASE_DIR
from tests.live import free_port

__all__ = ["LaunchedPlatform"]

_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "CACHE_URL", "TEST_DATABASE_URL", "PUBLIC_URL")


class LaunchedPlatform:
    """One RUN_DIR and port, in which a launcher is started and ended again and again."""

    def __init__(self, run_dir: Path, **settings: str) -> None:
        self.port = free_port()
        self._run_dir = run_dir
        inherited = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        own = {"RUN_DIR": str(run_dir), "PORT": str(self.port), "HOST": "127.0.0.1", "PYTHONPATH": str(BASE_DIR)}
        self._environment = {**inherited, **own, **settings}
        self._launcher: subprocess.Popen[bytes] | None = None

    @property
    def database_url(self) -> str:
        return str(json.loads((self._run_dir / "servers.json").read_text())["database_url"])

    def start(self) -> None:
        """Returns when it takes requests. Raises AssertionError with the launcher's last words."""
        output = self._run_dir.with_suffix(".out")
        with output.open("ab") as file:
            self._launcher = subprocess.Popen(
                [sys.executable, "-m", "iotplatform.launcher"],
                cwd=BASE_DIR,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        end = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            last_words = output.read_text(errors="replace")[-3000:]
            assert self._launcher.poll() is None, f"the launcher ended:\n{last_words}"
            assert time.monotonic() < end, f"not ready after {_START_SECONDS:.0f} s:\n{last_words}"
            time.sleep(0.1)

    def stop(self, signum: signal.Signals) -> list[str]:
        """Ask it to stop; what is wrong with how it did: too slow, not with 0, something left."""
        assert self._launcher is not None
        family, sockets = self._family(), self._sockets()
        began = time.monotonic()
        self._launcher.send_signal(signum)
        try:
            status = self._launcher.wait(_STOP_SECONDS + 10)
        except subprocess.TimeoutExpired:
            self.kill()
            return [f"still there {_STOP_SECONDS + 10:.0f} s after {signum.name}"]
        took = time.monotonic() - began
        wrong = [f"exit code {status} after {signum.name}"] if status else []
        if took > _STOP_SECONDS:
            wrong.append(f"took {took:.1f} s to stop")
        wrong += [f"left running: {' '.join(_command(member))[:100]}" for member in family if member.is_running()]
        wrong += [f"left listening: {path}" for path in sockets & self._sockets()]
        if self._port_is_open():
            wrong.append(f"port {self.port} is still open")
        return wrong

    def kill(self) -> None:
        """SIGKILL to all of it at once: the machine lost its power, but for the disk's cache."""
        assert self._launcher is not None
        family = self._family()
        for member in [*family]:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        self._launcher.wait()
        psutil.wait_procs(family, timeout=10)

    def kill_launcher(self) -> tuple[float, list[str]]:
        """SIGKILL to the launcher and to nobody else: after how long (s) all that it started had ended, and what did not."""
        assert self._launcher is not None
        family = self._family()[1:]
        began = time.monotonic()
        self._launcher.kill()
        self._launcher.wait()
        while (left := [member for member in family if _lives(member)]) and time.monotonic() < began + _STOP_SECONDS:
            time.sleep(0.05)
        took = time.monotonic() - began
        outlived = [" ".join(_command(member))[:100] for member in left]
        for member in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        return took, outlived

    def end(self) -> None:
        """Whatever happened: nothing of it runs any more."""
        if self._launcher is not None and self._launcher.poll() is None:
            self.stop(signal.SIGTERM)

    def manage(self, *arguments: str) -> str:
        """Run a management command to its end; what it printed."""
        line = [sys.executable, str(BASE_DIR / "manage.py"), *arguments]
        done = subprocess.run(
            line, cwd=BASE_DIR, env=self._environment, capture_output=True, text=True, timeout=300, check=True
        )
        return done.stdout

    def _family(self) -> list[psutil.Process]:
        assert self._launcher is not None
        first = psutil.Process(self._launcher.pid)
        return [first, *first.children(recursive=True)]

    def _sockets(self) -> set[str]:
        """Unix sockets of its folder that somebody listens on."""
        folder = json.loads((self._run_dir / "servers.json").read_text()).get("socket_dir", str(self._run_dir))
        lines = Path("/proc/net/unix").read_text().splitlines()
        return {line.split()[-1] for line in lines if folder in line}

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _port_is_open(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; one that ended and was not waited for by anybody does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return [str(process.pid)]
