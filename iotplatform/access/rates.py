"""How often the API may be asked, by person, device key or address, with headers that say what is left.

Windows of one minute, counted in the cache over all processes. While the cache is down nobody is counted: a limit that
protects the platform must not be what stops it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from iotplatform.observability.metrics import client_address
from telemetry.models import DeviceKey

__all__ = ["RequestRate", "Window", "headers_of"]

SECONDS = 60
#: A cache that failed is left alone for so long.
_PAUSE_SECONDS = 5.0
_log = logging.getLogger(__name__)
_down_until = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """One minute of one who asks. ``reset``: seconds to its end."""

    limit: int
    remaining: int
    reset: int


class RequestRate(BaseThrottle):
    """Refuses (429) what is beyond API_RATE_LIMIT, or API_ANONYMOUS_RATE_LIMIT."""

    def allow_request(self, request: Request, view: Any) -> bool:
        who, limit = _asking(request)
        if not limit:
            return True
        asked, reset = _count(who)
        if asked is None:
            return True
        self._reset = reset
        request._request.rate_window = Window(limit, max(0, limit - asked), reset)  # type: ignore[attr-defined]
        return asked <= limit

    def wait(self) -> float:
        return float(self._reset)


def headers_of(window: Window) -> dict[str, str]:
    """What an answer says of it: the fields that most clients know, and those of the IETF's draft (httpapi-ratelimit-headers)."""
    return {
        "RateLimit-Limit": str(window.limit),
        "RateLimit-Remaining": str(window.remaining),
        "RateLimit-Reset": str(window.reset),
        "RateLimit-Policy": f'"requests";q={window.limit};w={SECONDS}',
        "RateLimit": f'"requests";r={window.remaining};t={window.reset}',
    }


def _asking(request: Request) -> tuple[str, int]:
    """Who asks, as it is counted, and how often that one may."""
    config = settings.PLATFORM
    if isinstance(request.auth, DeviceKey):
        return f"key-{request.auth.pk}", config.api_rate_limit
    if request.user.is_authenticated:
        return f"user-{request.user.pk}", config.api_rate_limit
    return f"address-{client_address(request._request, config.trusted_proxies)}", config.api_anonymous_rate_limit


def _count(who: str) -> tuple[int | None, int]:
    """How often this one has asked in this minute, this time included (None: not known), and seconds to its end."""
    global _down_until
    now = time.time()
    window = int(now) // SECONDS
    reset = (window + 1) * SECONDS - int(now)
    if time.monotonic() < _down_until:
        return None, reset
    key = f"iot:rate:{who}:{window}"
    try:
        pipe = _client().pipeline(transaction=False)
        pipe.incr(key)
        pipe.expire(key, 2 * SECONDS)
        return int(pipe.execute()[0]), reset
    except redis.RedisError as error:
        _down_until = time.monotonic() + _PAUSE_SECONDS
        _log.warning("rates_not_counted", extra={"error": str(error)})
        return None, reset


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    seconds = min(1.0, settings.PLATFORM.redis_timeout_seconds)
    return redis.Redis.from_url(
        settings.SERVERS["cache_url"],
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )
