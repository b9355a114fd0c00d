"""The baselines as running servers, with as many processes as the platform has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.fleet import Fleet
from benchmarks.machine.database import Database
from benchmarks.machine.ground import Ground, free_port
from benchmarks.machine.processes import ProcessGroup, answers
from iotplatform.launcher.command import Command, Stage

_NAIVE = "benchmarks.baselines.naive"


@contextmanager
def bare_endpoint(ground: Ground) -> Iterator[int]:
    """The FastAPI endpoint, started; its port."""
    port = free_port()
    argv = (sys.executable, "-m", "uvicorn", "benchmarks.baselines.bare:app", "--port", str(port))
    argv += ("--workers", str(ground.config.web_processes), "--loop", "uvloop", "--http", "httptools")
    argv += ("--no-access-log", "--log-level", "error")
    group = ProcessGroup(ground.environment, ground.path / "logs")
    with _running(group, [Command("bare", argv, Stage.WEB)], port):
        yield port


@dataclass(frozen=True, slots=True)
class Naive:
    """The naive project, running."""

    port: int
    token: str
    database: Database


@contextmanager
def naive_project(ground: Ground, fleet: Fleet) -> Iterator[Naive]:
    """The naive project with the devices of a fleet, started: granian like the platform's, Celery with 2 processes."""
    port, config = free_port(), ground.config
    database = ground.make_database(ground.database, "iot_naive")
    environment = ground.environment | {"DATABASE_URL": database.url, "DJANGO_SETTINGS_MODULE": f"{_NAIVE}.settings"}
    group = ProcessGroup(environment, ground.path / "logs")
    prepare = (sys.executable, "-m", f"{_NAIVE}.prepare", fleet.prefix, str(fleet.devices))
    token = group.run(Command("naive-prepare", prepare)).split()[-1]
    web = (sys.executable, "-m", "granian", "--interface", "wsgi", f"{_NAIVE}.wsgi:application", "--port", str(port))
    web += ("--workers", str(config.web_processes), "--blocking-threads", str(config.web_threads), "--no-ws")
    worker = (sys.executable, "-m", "celery", "-A", f"{_NAIVE}.tasks", "worker", "--pool", "prefork", "--concurrency")
    worker += (str(config.drain_workers), "--hostname", "naive@%h", "--without-mingle", "--without-gossip")
    commands = [Command("naive-web", web, Stage.WEB), Command("naive-worker", worker)]
    with _running(group, commands, port):
        yield Naive(port, token, database)


@contextmanager
def _running(group: ProcessGroup, commands: list[Command], port: int) -> Iterator[None]:
    try:
        group.start(commands)
        group.wait_until(lambda: answers(port, "/healthz"), commands[0].name)
        yield
    finally:
        group.stop()
