"""That intake is up, second by second: time in which no device could have been heard must not count as its silence.

Every web process that takes readings says so in the log server; who says it after a pause keeps the pause as an outage.
"""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings

from telemetry.intake.process import process
from telemetry.log import keys
from telemetry.log.entries import LogError
from telemetry.log.redis_streams import RedisLog

__all__ = ["beat", "outages", "start"]

logger = logging.getLogger(__name__)
_BEAT_SECONDS = 1.0
#: A pause longer than this (µs) was an outage.
_PAUSE = 5_000_000
_MOST_OUTAGES = 1000

# It must go on while the memory is full: intake refuses readings then, and says no more that it is up.
_BEAT = """#!lua flags=allow-oom
local last, now = tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1])
if last > 0 and now - last > tonumber(ARGV[2]) then
    redis.call('RPUSH', KEYS[2], string.format('%.0f %.0f', last, now))
    redis.call('LTRIM', KEYS[2], -tonumber(ARGV[3]), -1)
end
redis.call('SET', KEYS[1], ARGV[1])
"""


def beat(log: RedisLog, now: int) -> None:
    """Intake takes readings at this moment (µs since 1970)."""
    log.call(
        lambda client: client.eval(
            _BEAT, 2, keys.INTAKE_HEARTBEAT, keys.INTAKE_OUTAGES, str(now), str(_PAUSE), str(_MOST_OUTAGES)
        )
    )


def outages(log: RedisLog, now: int) -> list[tuple[int, int]] | None:
    """When intake was down lately, as [from, to) in µs since 1970, one that goes on included; None: it was never up."""

    def ask(client: object) -> list[object]:
        pipe = client.pipeline(transaction=True)  # type: ignore[attr-defined]
        pipe.get(keys.INTAKE_HEARTBEAT)
        pipe.lrange(keys.INTAKE_OUTAGES, 0, -1)
        return list(pipe.execute())

    last, kept = log.call(ask)
    if last is None:
        return None
    found = []
    for outage in kept:  # type: ignore[attr-defined]
        begin, end = outage.split()
        found.append((int(begin), int(end)))
    if now - int(last) > _PAUSE:  # type: ignore[call-overload]
        found.append((int(last), now))  # type: ignore[call-overload]
    return found


def start() -> None:
    """Say so from now on, in a thread of this process, whenever it is ready to take readings."""
    threading.Thread(target=_run, name="intake-heartbeat", daemon=True).start()


def _run() -> None:
    log = RedisLog(settings.SERVERS["redis_url"], settings.PLATFORM.redis_timeout_seconds)
    pause = threading.Event()
    while not pause.wait(_BEAT_SECONDS):
        try:
            process().require_ready()
            beat(log, int(time.time() * 1e6))
        except LogError as error:
            logger.warning("intake_heartbeat_failed", extra={"error": str(error)})
        except Exception as error:
            # Not ready, which readiness and requests say by themselves: this only stays silent about it.
            logger.debug("intake_not_ready", extra={"error": str(error)})
