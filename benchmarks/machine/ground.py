"""The ground that a run stands on: a directory of its own, embedded servers, a fresh database, a free port.

Everything lies in a temporary RUN_DIR and is gone when the run ends, whatever happened. With DATABASE_URL the database
is made on that server instead (its role needs CREATEDB) and dropped at the end.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psutil

from benchmarks.machine.database import Database
from benchmarks.machine.processes import family
from iotplatform import env
from iotplatform.launcher.servers import EmbeddedServers

_DATABASE = "iot_bench"


class Ground:
    """A context manager. `environment` is that of every process, `config` what the platform reads from it.

    `settings` are environment variables beside the usual ones, such as {"SHARDS": "16"}.
    """

    def __init__(self, database_url: str | None, settings: Mapping[str, str] | None = None) -> None:
        self._given = database_url
        self._settings = settings or {}
        self._servers: EmbeddedServers | None = None
        self._stack = ExitStack()
        self.path = Path()
        self.database = Database("")
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Short, because Unix sockets lie in it.
            self.path = Path(tempfile.mkdtemp(prefix="iot-bench-"))
            stack.callback(shutil.rmtree, self.path, ignore_errors=True)
            servers = stack.enter_context(EmbeddedServers(self.path, postgres=self._given is None))
            server = Database(self._given or servers.database_url)
            self.database = self.make_database(server, _DATABASE, stack)
            (self.path / "metrics").mkdir()
            self.environment = {
                **os.environ,
                "RUN_DIR": str(self.path),
                "HOST": "127.0.0.1",
                "PORT": str(free_port()),
                "DATABASE_URL": self.database.url,
                "REDIS_URL": servers.redis_url,
                "CACHE_URL": servers.cache_url,
                "SIMULATOR": "off",
                # Event times lie in the past (EventClock). Were they those of now, their chunks were not over, nor sorted.
                "COMPACT_AFTER_MINUTES": "100000",
                "DJANGO_SETTINGS_MODULE": "iotplatform.settings",
                "PYTHONPATH": str(env.BASE_DIR),
                **self._settings,
            }
            self._servers = servers
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def make_database(self, server: Database, name: str, stack: ExitStack | None = None) -> Database:
        """A fresh database on the server, dropped when the run ends."""
        # Several runs may share a server of one's own.
        name = f"{name}_{os.getpid()}"
        made = server.create(name)
        (stack or self._stack).callback(server.drop, name)
        return made

    @property
    def config(self) -> env.Config:
        return env.load(self.environment)

    def servers(self) -> dict[str, list[psutil.Process]]:
        """The processes of "log", and of "postgres" where that is an embedded server, as of now."""
        assert self._servers is not None, "the ground is entered"
        names = ["log"] if self._given else ["postgres", "log"]
        return {name: family(self._servers.pid(name)) for name in names}

    def directory(self, name: str) -> Path:
        return self.path / "bench" / name


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
