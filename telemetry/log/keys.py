"""Every key in the log server, declared once. Celery's are prefixed with "celery:"."""

from __future__ import annotations

#: Random id made together with the log. Another one means: another log.
GENERATION = "log:generation"
#: Layout epoch that appends check.
EPOCH = "log:epoch"


def stream(shard: int) -> str:
    """The shard's stream of entries: fields s (segment), o (offset), p (payload)."""
    return f"log:{shard}"


def meta(shard: int) -> str:
    """Hash: in (bytes ever appended), out (offset up to which they are stored), trimmed (last id removed)."""
    return f"log:{shard}:meta"


def attempts(shard: int) -> str:
    """Hash: position → how often a drain from it was begun, and entry:<id> → how often that entry alone failed."""
    return f"log:{shard}:attempts"


def drain_flag(shard: int) -> str:
    """Set while a drain message waits; expires, so that a lost message delays but never loses."""
    return f"log:{shard}:drain"


def idempotency(key: str) -> str:
    """What an Idempotency-Key was answered."""
    return f"idem:{key}"


def idempotency_count(hour: int) -> str:
    """How many keys were remembered in an hour."""
    return f"idem:count:{hour}"


#: The highest series id that was ever given out, whatever the database's sequence says.
HIGHEST_SERIES = "series:highest"


def young_series(day: int) -> str:
    """Hash of the series registered on a day (days since 1970): id → definition, device/metric → id."""
    return f"series:young:{day}"


#: Hash: device id → µs since 1970 of its newest reading's arrival; emptied into the table every few seconds.
LAST_SEEN = "seen"


def worker(name: str) -> str:
    """Heartbeat of a worker, with a time to live."""
    return f"iot:worker:{name}"


#: µs since 1970 when a web process last said that it takes readings.
INTAKE_HEARTBEAT = "intake:heartbeat"
#: List of "from to" (µs since 1970): when none did.
INTAKE_OUTAGES = "intake:outages"


def heard(shard: int) -> str:
    """Hash: series id → µs since 1970 of its newest reading's arrival, of series whose silence is judged."""
    return f"heard:{shard}"
