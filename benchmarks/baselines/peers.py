"""VictoriaMetrics and InfluxDB 1.x on their own defaults, where they are installed: the peers of measurement V.

Each runs in a directory of its own on a free port of this machine, knows all series before a clock starts, and is asked
afterwards how many readings it has. What their answer to a write means:

- InfluxDB 1.x has written it to its log and called fsync (`wal-fsync-delay` is 0), as the platform has.
- VictoriaMetrics has it in memory. It can be found after a second and is on disk after five; a crash before that loses it.
  A snapshot writes what is in memory to disk at once.
"""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.machine.ground import free_port
from benchmarks.machine.processes import ProcessGroup, answers
from iotplatform.launcher.command import Command

__all__ = ["PEERS", "InfluxDB", "Peer", "Running", "VictoriaMetrics", "is_installed", "running"]

_TIMEOUT_SECONDS = 60


class Peer(Protocol):
    """A database that takes the line protocol over HTTP."""

    name: str
    #: The Debian package, which is also what its figures are called in a result.
    package: str
    program: str
    #: Answered with 200 as soon as it runs.
    health: str
    #: Whether its answer to a write means that a crash cannot lose it any more.
    answers_from_disk: bool

    def command(self, port: int, directory: Path) -> Command: ...

    def prepare(self, port: int) -> None:
        """Make the database `bench`, where the first write does not."""

    def flush(self, port: int) -> None:
        """Returns when everything that it has answered for is on disk."""

    def stored(self, port: int) -> int:
        """Readings that can be found, counted one by one; after `flush`, all."""


class VictoriaMetrics:
    name, package, program = "VictoriaMetrics", "victoria-metrics", "victoria-metrics"
    health = "/health"
    answers_from_disk = False

    def command(self, port: int, directory: Path) -> Command:
        line = (self.program, f"-storageDataPath={directory}", f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=WARN")
        return Command(self.package, line)

    def prepare(self, port: int) -> None:
        pass

    def flush(self, port: int) -> None:
        _ask(port, "/snapshot/create", {})

    def stored(self, port: int) -> int:
        query = {"query": 'sum(count_over_time({db="bench"}[1d]))', "nocache": "1"}
        found = _ask(port, "/api/v1/query", query)["data"]["result"]
        return int(found[0]["value"][1]) if found else 0


class InfluxDB:
    name, package, program = "InfluxDB", "influxdb", "influxd"
    health = "/query?q=SHOW+DATABASES"
    answers_from_disk = True

    def command(self, port: int, directory: Path) -> Command:
        environment = {
            "INFLUXDB_META_DIR": f"{directory}/meta",
            "INFLUXDB_DATA_DIR": f"{directory}/data",
            "INFLUXDB_DATA_WAL_DIR": f"{directory}/wal",
            "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{port}",
            "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{free_port()}",  # its backups'
            "INFLUXDB_REPORTING_DISABLED": "true",
            # What it would do beside the writes that are measured.
            "INFLUXDB_MONITOR_STORE_ENABLED": "false",
            "INFLUXDB_HTTP_LOG_ENABLED": "false",
        }
        # Not the settings of a server that the machine may have.
        return Command(self.package, (self.program, "run", "-config", "/dev/null"), environment=environment)

    def prepare(self, port: int) -> None:
        _ask(port, "/query", {"q": "CREATE DATABASE bench"})

    def flush(self, port: int) -> None:
        pass

    def stored(self, port: int) -> int:
        (answer,) = _ask(port, "/query", {"db": "bench", "q": "SELECT count(*) FROM /.*/"})["results"]
        return sum(count or 0 for series in answer.get("series", []) for count in series["values"][0][1:])


PEERS: tuple[Peer, ...] = (VictoriaMetrics(), InfluxDB())


def is_installed(peer: Peer) -> bool:
    return shutil.which(peer.program) is not None


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that runs, empty but for its database."""

    peer: Peer
    port: int

    def stored(self) -> int:
        return self.peer.stored(self.port)

    def flush(self) -> None:
        self.peer.flush(self.port)


@contextmanager
def running(peer: Peer, group: ProcessGroup, directory: Path) -> Iterator[Running]:
    """Started as the only process of a group, on an empty directory; stopped and thrown away afterwards."""
    port = free_port()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        group.start([peer.command(port, directory)])
        group.wait_until(lambda: answers(port, peer.health), peer.name)
        peer.prepare(port)
        yield Running(peer, port)
    finally:
        group.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _ask(port: int, path: str, fields: Mapping[str, str]) -> Any:
    """POST a form; the JSON of the answer. Raises OSError where it is no success."""
    form = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", form, timeout=_TIMEOUT_SECONDS) as answer:
        return json.load(answer)
