"""What intake keeps in each process: the registry and its watch, the appending side of the log, the gates."""

from __future__ import annotations

import threading

from django.conf import settings
from django.db import connection

from telemetry.intake.quarantine_gate import QuarantineGate
from telemetry.intake.rate import RateLimiter
from telemetry.log.breaker import Breaker
from telemetry.log.entries import Append, Appended, LogError
from telemetry.log.group_commit import GroupCommit
from telemetry.log.loop_commit import LoopCommit
from telemetry.log.redis_loop import LoopLog
from telemetry.log.redis_streams import RedisLog
from telemetry.registry import Registry, registry
from telemetry.registry.registry import RegistryStale
from telemetry.registry.watch import watch
from telemetry.registry.young_series import YoungSeries


class Process:
    """Made on first use, so that each forked process has its own."""

    def __init__(self) -> None:
        platform = settings.PLATFORM
        self.registry: Registry = registry
        self.gate = QuarantineGate(platform.quarantine_per_device_per_minute)
        self.rates = RateLimiter(platform.web_processes)
        self.waiters = threading.BoundedSemaphore(max(1, platform.web_threads // 4))
        self._log = RedisLog(
            settings.SERVERS["redis_url"],
            platform.redis_timeout_seconds,
            most_bytes=platform.log_max_bytes,
            idempotency_seconds=platform.idempotency_hours * 3600,
            most_idempotency_keys=platform.idempotency_max_keys,
            on_segment=self._register_segment,
        )
        # A connection of its own: one made inside a transaction would register its segment there.
        self._young_log = RedisLog(settings.SERVERS["redis_url"], platform.redis_timeout_seconds)
        self.registry.young = YoungSeries(self._young_log)
        self.breaker = Breaker(GroupCommit(self._log, platform.redis_timeout_seconds))

    def require_ready(self) -> None:
        """Raises RegistryStale where the database was not heard lately, or a reshard keeps intake closed."""
        watch.start()
        self.registry.require_fresh()
        if not self.registry.open:
            raise RegistryStale("the log is being resharded")

    def append(self, request: Append) -> Appended:
        """Append one request to the log, together with those of other threads. Raises a LogError."""
        self._log.epoch = self.registry.epoch
        return self.breaker.append(request)

    def loop_commit(self) -> LoopCommit:
        """The appending side of the running event loop."""
        loop_log = LoopLog(self._log)

        async def append(requests: list[Append]) -> list[Appended | LogError]:
            self._log.epoch = self.registry.epoch
            return await loop_log.append(requests)

        return LoopCommit(append, self.breaker)

    def close(self) -> None:
        """Hang up."""
        self._log.close()
        self._young_log.close()

    def _register_segment(self, segment: str) -> None:
        """From now on there may be receipts of this run of the log server: the database must know of it first."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO telemetry_logsegment (shard, segment, created_at) "
                "SELECT s, %s, now() FROM generate_series(0, %s) s ON CONFLICT DO NOTHING",
                [segment, self.registry.shards - 1],
            )


_process: Process | None = None
_lock = threading.Lock()


def process() -> Process:
    """This process's intake."""
    global _process
    if _process is None:
        with _lock:
            if _process is None:
                _process = Process()
    return _process


def reset() -> None:
    """Forget it, as a fork or a restart would: the next call makes a new one."""
    global _process
    with _lock:
        if _process is not None:
            _process.close()
        _process = None


__all__ = ["Process", "process", "reset"]
