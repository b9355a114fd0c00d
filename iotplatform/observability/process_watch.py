"""What each process of the platform is: alive, since when, with how much memory and processor time.

A thread writes it down every few seconds into the shared metrics, because whoever is scraped can ask neither the processes
of another container nor those of another pod. A forked child is watched like its parent.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from prometheus_client import Counter, Gauge

__all__ = ["cpu_seconds", "processes", "resident_bytes", "start_time", "watch"]

EVERY_SECONDS = 5.0

processes = Gauge("iot_processes", "Processes that live, by name.", ["process"], multiprocess_mode="livesum")
resident_bytes = Gauge(
    "iot_process_resident_bytes",
    "Memory of the living processes of a name; pages that they share count in each.",
    *(["process"],),
    multiprocess_mode="livesum",
)
cpu_seconds = Counter(
    "iot_process_cpu_seconds",
    "Processor time of the processes of a name, the dead included but for their last seconds.",
    ["process"],
)
start_time = Gauge(
    "iot_process_start_time_seconds",
    "When the youngest living process of a name started, since 1970.",
    *(["process"],),
    multiprocess_mode="livemax",
)

_MEMORY = Path("/proc/self/statm")


class _Watch:
    """The watch of this process; made anew after a fork."""

    def __init__(self, name: str) -> None:
        self._name = name
        #: Held while metrics are written: a fork in the middle would leave the child with a lock that nobody opens.
        self._writing = threading.Lock()
        self._counted = 0.0
        os.register_at_fork(
            before=self._writing.acquire, after_in_parent=self._writing.release, after_in_child=self._forked
        )

    def start(self) -> None:
        """Raises nothing; returns once the first figures are written."""
        self._counted = 0.0
        processes.labels(self._name).set(1)
        start_time.labels(self._name).set(time.time())
        self._look()
        threading.Thread(target=self._work, name="process-watch", daemon=True).start()

    def _forked(self) -> None:
        self._writing.release()
        self.start()

    def _work(self) -> None:
        while True:
            time.sleep(EVERY_SECONDS)
            self._look()

    def _look(self) -> None:
        with self._writing:
            times = os.times()
            used = times.user + times.system
            cpu_seconds.labels(self._name).inc(max(0.0, used - self._counted))
            self._counted = used
            if (resident := _resident()) is not None:
                resident_bytes.labels(self._name).set(resident)


_watch: _Watch | None = None


def watch(name: str) -> None:
    """Watch this process, and what it forks, under a name; once. After `metric_files.claim`."""
    global _watch
    if _watch is None:
        _watch = _Watch(name)
        _watch.start()


def _resident() -> int | None:
    """Bytes; None where the system does not tell (proc(5), statm: pages)."""
    try:
        return int(_MEMORY.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
