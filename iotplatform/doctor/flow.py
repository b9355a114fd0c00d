"""The way of a reading: shards, workers, what waits in the log, what was refused."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from iotplatform.doctor.findings import Finding, fail, ok, warn
from iotplatform.env import Config
from iotplatform.launcher.banner import local_url
from iotplatform.observability.health import missing_workers, worker_names
from iotplatform.observability.log_metrics import stored_positions
from iotplatform.observability.probes import database, redis_server
from telemetry.log import keys
from telemetry.log.depth import depths
from telemetry.rollups.freshness import BEHIND_SECONDS, STALE_SECONDS, freshness

__all__ = [
    "check_quarantine",
    "check_rollups",
    "check_shards",
    "check_waiting",
    "check_web",
    "check_workers",
    "judge_waiting",
]

_MIB = 1 << 20
_LATE_SECONDS = 30.0
_STUCK_SECONDS = 300.0


def check_web(config: Config) -> Iterator[Finding]:
    """The site answers on this machine."""
    url = f"{local_url(config)}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address  # nosec B310
            yield ok("web", f"{url} answers.")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        yield warn("web", f"{url} does not answer: {reason}.", "Start the platform (`make run`), or set HOST and PORT.")


def check_shards(config: Config) -> Iterator[Finding]:
    """Settings, database and log agree on the layout of the log."""
    with database() as connection, redis_server() as client:
        layout: Any = connection.execute("SELECT shards, epoch, open FROM telemetry_loglayout WHERE id = 1").fetchone()
        positions = len(stored_positions(connection))
        seen: Any = client.get(keys.EPOCH)
    if layout is None:
        yield fail("shards", "The database has no layout of the log.", "Run `manage.py migrate`.")
        return
    shards, epoch, is_open = layout
    if shards != config.shards or positions != shards:
        yield fail(
            "shards",
            f"SHARDS is {config.shards}, but the log was laid out with {shards} ({positions} positions).",
            f"Set SHARDS={shards}, or change the layout with `manage.py reshard`.",
        )
    elif not is_open:
        yield fail("shards", "Intake is closed: a reshard has begun and not ended.", "Run `manage.py reshard` again.")
    elif seen is not None and int(seen) != epoch:
        yield fail(
            "shards",
            f"The log is of layout {int(seen)}, the database of layout {epoch}: one of them was set back.",
            "Run `manage.py reshard` to give both the same one.",
        )
    else:
        yield ok("shards", f"{shards}, in settings, database and log.")


def check_workers() -> Iterator[Finding]:
    """Every worker gave a sign of life."""
    missing = missing_workers()
    if missing:
        yield fail(
            "workers",
            f"No sign of life for 15 s from {', '.join(missing)}: readings of their shards wait.",
            "Start the platform (`make run`), or see why they end in RUN_DIR/logs.",
        )
    else:
        yield ok("workers", f"{', '.join(worker_names())} are alive.")


def check_waiting(config: Config) -> Iterator[Finding]:
    """What was accepted and is not stored yet."""
    with database() as connection, redis_server() as client:
        found = depths(client, stored_positions(connection))
    waiting = sum(depth.waiting_bytes for depth in found.values())
    oldest = max((depth.oldest_seconds for depth in found.values()), default=0.0)
    yield judge_waiting(waiting, oldest, config.log_max_bytes)


def judge_waiting(size: int, oldest_seconds: float, most: int) -> Finding:
    """Sizes in bytes."""
    text = f"{size / _MIB:.1f} MiB of {most // _MIB} MiB wait to be stored, the oldest for {oldest_seconds:.0f} s."
    mend = "See that all workers run; if they do, add some (DRAIN_WORKERS), or look at the database's load."
    if size > 0.9 * most or oldest_seconds > _STUCK_SECONDS:
        return fail("waiting", text, mend)
    if size > 0.5 * most or oldest_seconds > _LATE_SECONDS:
        return warn("waiting", text, mend)
    return ok("waiting", text if size else "Nothing waits to be stored.")


def check_quarantine(config: Config) -> Iterator[Finding]:
    """Refused readings do not pile up unseen."""
    with database() as connection:
        row: Any = connection.execute(
            "SELECT (SELECT count(*) FROM telemetry_quarantinedreading), "
            "(SELECT count(*) FROM telemetry_quarantinedreading WHERE state = 'waiting'), "
            "(SELECT coalesce(sum(dropped), 0) FROM telemetry_quarantinedropped "
            " WHERE last_at > now() - interval '1 day')"
        ).fetchone()
    kept, waiting, dropped = row
    text = f"{waiting:,} refused readings wait, {kept:,} of {config.quarantine_max_rows:,} rows are used."
    if dropped:
        yield warn(
            "quarantine",
            f"{text} Devices that sent in the last day lost {dropped:,} refused readings: too many came at once.",
            "Look at /admin/ → quarantine for the device and the reason, and mend the sender.",
        )
    elif kept > 0.8 * config.quarantine_max_rows:
        yield warn("quarantine", text, "Replay or discard them in /admin/; the oldest are dropped once it is full.")
    else:
        yield ok("quarantine", text)


def check_rollups() -> Iterator[Finding]:
    """Minutes, hours and days are made in time."""
    with database() as connection:
        fresh = freshness(connection)
    behind = f"Rollups are {fresh.behind:,.0f} s behind; queries are right all the same, but slower."
    mend = "See in the worker's log why refresh_rollups does not end; `manage.py refresh_rollups` does it now."
    if fresh.behind > STALE_SECONDS:
        yield fail("rollups", behind, mend)
    elif fresh.behind > BEHIND_SECONDS:
        yield warn("rollups", behind, mend)
    else:
        yield ok("rollups", f"Up to {fresh.behind:,.0f} s ago.")
