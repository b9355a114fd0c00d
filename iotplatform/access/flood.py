"""What happens in floods is written down once a minute, so that nobody fills the audit trail by being refused."""

from __future__ import annotations

import hashlib
import logging
import time

from django.core.cache import cache

from telemetry import measures

__all__ = ["MOST_A_MINUTE", "first_in_minute"]

#: Over all of the site: whoever makes up addresses and routes gets no further.
MOST_A_MINUTE = 600
_SECONDS = 60
_log = logging.getLogger(__name__)
_seen: dict[str, float] = {}


def first_in_minute(*parts: object) -> bool:
    """Whether this has not happened within the last minute, and not too much else has. Counts what is left out."""
    # What people type is no key of a cache as it is.
    told = "\0".join(map(str, parts)).encode(errors="replace")
    key = f"audit:{hashlib.sha256(told).hexdigest()}"
    try:
        first = bool(cache.add(key, 1, _SECONDS)) and _among_few()
    except Exception as error:  # whatever the cache's driver raises while it is down
        _log.warning("audit_flood_without_cache", extra={"error": str(error)})
        first = _first_here(key)
    if not first:
        measures.audit_left_out.inc()
    return first


def _among_few() -> bool:
    total = f"audit:all:{int(time.time()) // _SECONDS}"
    cache.add(total, 0, 2 * _SECONDS)
    return cache.incr(total) <= MOST_A_MINUTE


def _first_here(key: str) -> bool:
    """As this process knows it."""
    now = time.monotonic()
    if len(_seen) >= MOST_A_MINUTE:
        for old in [each for each, at in _seen.items() if at <= now - _SECONDS]:
            del _seen[old]
    if len(_seen) >= MOST_A_MINUTE or _seen.get(key, -_SECONDS) > now - _SECONDS:
        return False
    _seen[key] = now
    return True
