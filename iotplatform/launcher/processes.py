"""The command line of every process of the platform, in one table (benchmarks start the same ones)."""

import sys
from collections.abc import Mapping
from pathlib import Path

from iotplatform.env import BASE_DIR, Config
from iotplatform.launcher.command import Command, Stage
from iotplatform.queues import drain_queues

__all__ = ["beat", "drain_workers", "manage", "platform", "simulator", "web", "worker"]

_PYTHON = (sys.executable, "-u")  # unbuffered: what a process prints shows at once
# Running as root is what `make run` promises to do; task messages are JSON, so what Celery warns of cannot happen.
_AS_ROOT = "ignore:You're running the worker with superuser privileges"
_CELERY = (*_PYTHON, "-W", _AS_ROOT, "-m", "celery", "--quiet", "-A", "iotplatform.celery")
_QUIET_WORKER = ("--without-mingle", "--without-gossip", "--without-heartbeat")
_WEB_GRACE_SECONDS = 2


def platform(config: Config) -> list[Command]:
    """Everything that runs all the time, in the order to start it."""
    commands = [web(config), *drain_workers(config), worker(config), beat(config)]
    if config.simulator == "on":
        commands.append(simulator(config))
    return commands


def manage(config: Config, name: str, *arguments: str) -> Command:
    """A management command, which runs once."""
    return Command(name, (*_PYTHON, str(BASE_DIR / "manage.py"), *arguments), environment=_environment(config, name))


def web(config: Config) -> Command:
    argv = (
        *(*_PYTHON, "-m", "granian", "--interface", "asgi", "iotplatform.asgi:application"),
        *("--host", config.host, "--port", str(config.port), "--no-ws", "--http", "1"),
        *("--workers", str(config.web_processes), "--loop", "uvloop"),
        *("--log-config", "iotplatform/observability/granian.json"),
        # Connections, idle ones included, that a worker holds at a time: --backlog / --workers. The threads bound how
        # many requests run; a --backpressure as low as that would leave the next client of a keep-alive fleet hanging.
        *("--backlog", "4096"),
        *("--respawn-failed-workers", "--respawn-interval", "0.5"),
        *("--workers-kill-timeout", str(_WEB_GRACE_SECONDS)),
    )
    return Command(
        "web", argv, Stage.WEB, stop_seconds=_WEB_GRACE_SECONDS + 0.5, environment=_environment(config, "web")
    )


def drain_workers(config: Config) -> list[Command]:
    """One process for each share of the shards, working through its own queues one task at a time."""
    commands = []
    for number, queues in enumerate(drain_queues(config.shards, config.drain_workers), start=1):
        name = f"drain{number}"
        argv = (
            *(*_CELERY, "worker", "--pool", "solo", "--queues", ",".join(queues), "--hostname", f"{name}@%h"),
            *_QUIET_WORKER,
        )
        commands.append(Command(name, argv, Stage.WORKERS, environment=_environment(config, name)))
    return commands


def worker(config: Config) -> Command:
    """The worker of everything but drains: deliveries wait for others' servers, so it has threads."""
    argv = (
        *(*_CELERY, "worker", "--pool", "threads", "--concurrency", "4", "--queues", "default"),
        *("--hostname", "worker@%h", *_QUIET_WORKER),
    )
    return Command("worker", argv, Stage.WORKERS, environment=_environment(config, "worker"))


def beat(config: Config) -> Command:
    # No pid file: a stale one would keep it from starting, and the lock of RUN_DIR already sees to there being one.
    argv = (*_CELERY, "beat", "--schedule", str(config.run_dir / "beat-schedule"), "--pidfile", "")
    return Command("beat", argv, Stage.BEAT, stop_seconds=3.5, environment=_environment(config, "beat"))


def simulator(config: Config) -> Command:
    argv = (*_PYTHON, str(BASE_DIR / "manage.py"), "simulate")
    return Command("simulator", argv, Stage.SIMULATOR, stop_seconds=1.0, environment=_environment(config, "simulator"))


def metrics_dir(config: Config) -> Path:
    """Where the processes keep their metrics, so that any web process can show them all."""
    return config.run_dir / "metrics"


def _environment(config: Config, name: str) -> Mapping[str, str]:
    return {
        "PROCESS_NAME": name,
        "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir(config)),
        # One pool of memory a thread, as glibc would have it, keeps what large requests needed in each of them.
        "MALLOC_ARENA_MAX": "2",
        # Arrays of readings have 0.1 to 2 MB. glibc would give each back to the system when it is freed, and what it takes
        # anew must be zeroed page by page: half of the time of decoding 1,000 readings.
        "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
        # Small sums are done sooner than they are handed to threads, which would wait for each other on busy cores.
        "OPENBLAS_NUM_THREADS": "1",
    }
