"""What a process of the platform is, before it runs."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from iotplatform.launcher import orphans

__all__ = ["Command", "Stage"]


class Stage:
    """The order in which processes stop: who feeds others goes first, who keeps the data last."""

    SIMULATOR = 0
    WEB = BEAT = 1
    WORKERS = 2
    CACHE = 3
    LOG = 4
    DATABASE = 5


@dataclass(frozen=True)
class Command:
    """A process to be kept running: its name in logs and messages, its command line, how to stop it.

    Stopping: `stop_signal`, after `stop_seconds` `last_resort` if there is one, then SIGKILL.
    `death_signal` is what it gets when the launcher itself is killed. What a `quiet` one prints goes to its log file
    only.
    """

    name: str
    argv: tuple[str, ...]
    stage: int = Stage.WORKERS
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 4.5
    last_resort: signal.Signals | None = None
    death_signal: signal.Signals = signal.SIGKILL
    user: orphans.User | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    quiet: bool = False

    def line(self) -> list[str]:
        """The command line to execute, which makes the process die with the one that starts it."""
        return orphans.wrapped(self.argv, self.death_signal, self.user, self.environment)
