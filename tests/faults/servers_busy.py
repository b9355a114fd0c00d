"""Servers restarted in good order, without a connection left, with tables that somebody has locked; no cache."""

from __future__ import annotations

import contextlib
import time

import psycopg

from tests.faults.load import Load, Outcome
from tests.live import LivePlatform

__all__ = [
    "cache_away",
    "connections_exhausted",
    "database_restarted",
    "log_restarted",
    "tables_locked",
]

_WELL_SECONDS = 30.0
_LOCKED = (
    "telemetry_reading",
    "telemetry_shardposition",
    "thresholds_threshold",
)


def log_restarted(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """The log server is stopped in good order and started with its append-only file."""
    return _restart(platform, "log", rounds, seed)


def database_restarted(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """PostgreSQL is stopped as fast as it can in good order, and started."""
    return _restart(platform, "postgres", rounds, seed)


def cache_away(platform: LivePlatform, seconds: int, seed: int) -> Outcome:
    """The cache is killed and stays away: intake and storing go on as if nothing were."""
    with Load(platform, seed) as load:
        load.wait_for_accepted(20)
        refused = load.ledger.answers[503]
        platform.kill("cache")
        try:
            load.run_for(seconds)
            load.recovers_within(_WELL_SECONDS, "without a cache")
            if load.ledger.answers[503] != refused:
                load.ledger.broken(f"{load.ledger.answers[503] - refused} requests refused for want of a cache")
        finally:
            platform.restart("cache")
        return load.finish()


def tables_locked(platform: LivePlatform, seconds: int, seed: int) -> Outcome:
    """Somebody holds ACCESS EXCLUSIVE on the readings, on the shards' positions, on the thresholds, in turn."""
    with Load(platform, seed) as load:
        for table in _LOCKED:
            load.wait_for_accepted(20)
            with platform.database() as holder, holder.transaction():
                holder.execute("SET LOCAL lock_timeout = '30s'")
                holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                load.run_for(seconds)
            load.recovers_within(_WELL_SECONDS, f"{table} was locked")
        return load.finish()


def connections_exhausted(platform: LivePlatform, seconds: int, seed: int) -> Outcome:
    """A client takes every connection, those of the platform included (each is ended, and taken)."""
    with Load(platform, seed) as load, contextlib.ExitStack() as stack:
        load.wait_for_accepted(20)
        hogs = [stack.enter_context(platform.database())]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            hogs[0].execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'iot-%'"
            )
            try:
                while True:
                    hogs.append(stack.enter_context(psycopg.connect(platform.database_url, autocommit=True)))
            except psycopg.OperationalError:
                load.run_for(0.2)
        if len(hogs) < 90:
            load.ledger.broken(f"only {len(hogs)} connections were taken: this tried nothing")
        for hog in hogs:
            hog.close()
        load.recovers_within(_WELL_SECONDS, "connections are free again")
        return load.finish()


def _restart(platform: LivePlatform, name: str, rounds: int, seed: int) -> Outcome:
    with Load(platform, seed) as load:
        for _ in range(rounds):
            load.wait_for_accepted(30)
            platform.restart(name)
            load.recovers_within(_WELL_SECONDS, f"{name} restarted")
        return load.finish()
