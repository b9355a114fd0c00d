"""CPU time of processes, by what they are for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import psutil

__all__ = ["Spent", "seconds"]


def seconds(processes: list[psutil.Process]) -> float:
    """User and system time of these processes since they began, with that of their children that have ended."""
    total = 0.0
    for process in processes:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # ended between two looks: its parent, if it is one of ours, has its time
    return total


class Spent:
    """What each kind of process spends inside a with block: right after it, `spent` has CPU seconds, `took` those of the clock."""

    def __init__(self, kinds: Callable[[], Mapping[str, list[psutil.Process]]]) -> None:
        self._kinds = kinds
        self._before: dict[str, float] = {}
        self._began = 0.0
        self.spent: dict[str, float] = {}
        self.took = 0.0

    def beyond(self, idle: Mapping[str, float]) -> dict[str, float]:
        """CPU seconds beyond what each kind takes anyway (`idle`, in cores); never less than 0."""
        return {kind: max(0.0, spent - idle.get(kind, 0.0) * self.took) for kind, spent in self.spent.items()}

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._before = self._look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.took = time.monotonic() - self._began
        self.spent = {name: seconds - self._before[name] for name, seconds in self._look().items()}

    def _look(self) -> dict[str, float]:
        return {name: seconds(processes) for name, processes in self._kinds().items()}
