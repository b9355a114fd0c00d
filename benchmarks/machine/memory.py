"""Resident memory of processes (M1).

PSS counts a page that n processes share as 1/n in each, so the sum over processes is what they really hold; RSS counts
it whole in each and is reported beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """Sums over processes, MiB."""

    pss: float
    rss: float


def of(processes: list[psutil.Process]) -> Memory:
    """What these processes hold now; those that ended meanwhile hold nothing."""
    pss = rss = 0
    for process in processes:
        try:
            held = process.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        pss += held.pss
        rss += held.rss
    return Memory(pss / _MIB, rss / _MIB)


class Peak:
    """Watches the memory of a changing set of processes; `highest` is right after the with block."""

    _INTERVAL_SECONDS = 0.5

    def __init__(self, processes: Callable[[], list[psutil.Process]]) -> None:
        self._processes = processes
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.highest = Memory(0.0, 0.0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(self._INTERVAL_SECONDS):
            now = of(self._processes())
            self.highest = Memory(max(self.highest.pss, now.pss), max(self.highest.rss, now.rss))
