"""What an earlier launcher that was killed left running.

On Linux its children die with it (orphans.py) and this finds at most a server
that still shuts down. On other systems it is what keeps a second start from
meeting the first one's processes.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping

import psutil

from iotplatform.launcher.rundir import RunDir

__all__ = ["ProcessRecord", "clear"]

_FILE = "processes.json"
_GENTLE_SECONDS = 8.0
_KILL_SECONDS = 1.0
_LOOK_SECONDS = 0.02
_CLOCK_TOLERANCE_SECONDS = 1.0


class ProcessRecord:
    """RUN_DIR/processes.json: the pid and start time of each running process, and the signal that ends it best."""

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._running: dict[str, dict[str, float]] = {}

    def started(self, name: str, pid: int, end_signal: int) -> None:
        try:
            born = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:  # gone again already
            return
        self._running[name] = {"pid": pid, "started": born, "signal": int(end_signal)}
        self._write()

    def ended(self, name: str) -> None:
        if self._running.pop(name, None) is not None:
            self._write()

    def _write(self) -> None:
        # A full disk must not keep a dead process from being started again.
        with contextlib.suppress(OSError):
            self._run_dir.write(_FILE, self._running)


def clear(run_dir: RunDir) -> list[str]:
    """End what processes.json names and still runs, with all that it started; the names of what was found.

    A pid alone proves nothing after a restart of the machine, so the start time
    must agree. The caller holds the lock of RUN_DIR: nothing here belongs to a
    launcher that lives.
    """
    found = []
    left: list[psutil.Process] = []
    for name, entry in run_dir.read(_FILE).items():
        family = _family(entry) if isinstance(entry, Mapping) else []
        if family:
            found.append(name)
            _send(family, int(entry["signal"]))  # type: ignore[index]
            left.extend(family)
    left = _wait(left, _GENTLE_SECONDS)
    _send(left, signal.SIGKILL)
    _wait(left, _KILL_SECONDS)
    run_dir.write(_FILE, {})
    return found


def _wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still live after at most so long."""
    deadline = time.monotonic() + seconds
    while (living := [process for process in processes if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return living


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _family(entry: Mapping[str, float]) -> list[psutil.Process]:
    """The recorded process, if it lives, and the living rest of its process group (each child leads one)."""
    pid, started = int(entry["pid"]), float(entry["started"])
    try:
        born = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        born = started
    if abs(born - started) > _CLOCK_TOLERANCE_SECONDS:
        return []  # the pid went to somebody else
    return [process for process in psutil.process_iter() if _group(process.pid) == pid and _lives(process)]


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _send(processes: Iterable[psutil.Process], signum: int) -> None:
    for process in processes:
        try:
            process.send_signal(signum)
        except psutil.NoSuchProcess:
            continue
