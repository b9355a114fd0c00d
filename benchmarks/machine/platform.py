"""The platform under measurement: its processes, with the launcher's own command lines, on the ground of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.machine.ground import Ground
from benchmarks.machine.processes import ProcessGroup, answers
from iotplatform.launcher import processes
from iotplatform.launcher.command import Command


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials: a key for all devices, keys of single devices in their order, a logged-in session."""

    gateway_key: str
    device_keys: Sequence[str]
    session: str


class Platform:
    """Web, drain workers, general worker and beat, simulator off; a context manager. `family()` are its processes."""

    def __init__(self, ground: Ground) -> None:
        self._config = ground.config
        self._group = ProcessGroup(ground.environment, Path(ground.path / "logs"))
        self.port = self._config.port
        self._group.run(processes.manage(self._config, "migrate", "migrate", "--noinput"))

    def __enter__(self) -> Self:
        self._group.start(processes.platform(self._config))
        try:
            self._group.wait_until(lambda: answers(self.port, "/readyz"), "the platform")
        except BaseException:
            self._group.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._group.stop()

    def provision(self, prefix: str, devices: int, device_keys: int = 0) -> Access:
        """Make devices and keys; every prefix once."""
        argv = (sys.executable, "-m", "benchmarks.machine.provision", prefix, str(devices), str(device_keys))
        return Access(**json.loads(self._group.run(Command("provision", argv)).splitlines()[-1]))

    def run(self, command: Command) -> str:
        """Run a command in the platform's environment to its end; what it printed."""
        return self._group.run(command)

    def stop_drains(self) -> None:
        """End the drain workers, so that the log fills."""
        self._group.stop([command.name for command in processes.drain_workers(self._config)])

    def start_drains(self) -> None:
        self._group.start(processes.drain_workers(self._config))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing of it runs meanwhile, so that another platform has the machine for itself."""
        self._group.stop()
        try:
            yield
        finally:
            self.__enter__()

    def families(self) -> dict[str, list[psutil.Process]]:
        """The processes by kind: "web", "drain" (all of them), "worker" and "beat"."""
        kinds: dict[str, list[psutil.Process]] = {}
        for name, members in self._group.families().items():
            kinds.setdefault(name.rstrip("0123456789"), []).extend(members)
        return kinds

    def family(self) -> list[psutil.Process]:
        return self._group.family()
