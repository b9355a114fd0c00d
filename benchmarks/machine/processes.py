"""Processes of a run: started with the launcher's command lines, stopped in its order, none left behind."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from iotplatform.env import BASE_DIR
from iotplatform.launcher.command import Command

_READY_SECONDS = 60
_RUN_SECONDS = 900


class ProcessGroup:
    """Running processes by name. They die with this process, even when it is killed."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self._environment = environment
        self._logs = logs
        self._running: dict[str, tuple[Command, subprocess.Popen[bytes]]] = {}

    def start(self, commands: Sequence[Command]) -> None:
        for command in commands:
            with self._log(command.name).open("ab") as log:
                process = subprocess.Popen(
                    command.line(),
                    cwd=BASE_DIR,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self._running[command.name] = command, process

    def stop(self, names: Sequence[str] | None = None) -> None:
        """Stop those named, or all, feeders first; returns when they are gone."""
        chosen = [self._running.pop(name) for name in list(self._running) if names is None or name in names]
        for command, process in sorted(chosen, key=lambda pair: pair[0].stage):
            children = family(process.pid)[1:]
            process.send_signal(command.stop_signal)
            try:
                process.wait(command.stop_seconds + 5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for child in psutil.wait_procs(children, timeout=2)[1]:
                child.kill()

    def family(self) -> list[psutil.Process]:
        """Every process of the group with its children, as of now."""
        return [member for members in self.families().values() for member in members]

    def families(self) -> dict[str, list[psutil.Process]]:
        """The same by the names of their commands."""
        return {name: family(process.pid) for name, (_, process) in self._running.items()}

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Raises RuntimeError with the last words of whoever died, or after a minute."""
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            dead = [name for name, (_, process) in self._running.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                who = dead or list(self._running)
                raise RuntimeError(f"{what} is not ready; last words of {', '.join(who)}:\n{self._tail(who[0])}")
            time.sleep(0.05)

    def run(self, command: Command) -> str:
        """Run something that ends by itself; its output. Raises RuntimeError if it fails."""
        done = subprocess.run(
            command.line(), cwd=BASE_DIR, env=self._environment, capture_output=True, text=True, timeout=_RUN_SECONDS
        )
        if done.returncode:
            raise RuntimeError(f"{command.name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _tail(self, name: str) -> str:
        return self._log(name).read_bytes()[-4000:].decode(errors="replace")


def answers(port: int, path: str) -> bool:
    """Whether an HTTP server on that port answers at all, and not with an error of its own."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def family(pid: int) -> list[psutil.Process]:
    """A process, first, and all that came from it; none where it has ended."""
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
