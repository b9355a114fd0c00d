"""Answers kept in the cache server. It may be down: then everything goes on without it, and without waiting for it."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from dataclasses import dataclass

import redis
from django.core.cache import cache

__all__ = ["AnswerCache", "Kept", "answers", "key_of"]

logger = logging.getLogger(__name__)
#: After a failure the cache is not asked for so long.
_REST_SECONDS = 2.0
#: Larger answers cost more to keep than to make again.
_LARGEST = 2_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer's body, and when (seconds since 1970) it was made."""

    body: bytes
    at: float


class AnswerCache:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rests_until = 0.0

    def get(self, key: str) -> Kept | None:
        """The answer, if it is kept and the cache answers."""
        if self._rests():
            return None
        try:
            found = cache.get(key)
        except (redis.RedisError, OSError) as error:
            self._failed(error)
            return None
        return Kept(*found) if isinstance(found, tuple) else None

    def put(self, key: str, body: bytes, seconds: float) -> None:
        """Keep an answer that was made now."""
        if seconds <= 0 or len(body) > _LARGEST or self._rests():
            return
        try:
            cache.set(key, (body, time.time()), seconds)
        except (redis.RedisError, OSError) as error:
            self._failed(error)

    def _rests(self) -> bool:
        return time.monotonic() < self._rests_until

    def _failed(self, error: Exception) -> None:
        with self._lock:
            if not self._rests():
                logger.warning("answer_cache_down", extra={"error": str(error)})
            self._rests_until = time.monotonic() + _REST_SECONDS


answers = AnswerCache()


def key_of(kind: str, *parts: object) -> str:
    """A key of the cache for things that are told apart by their representation."""
    return f"{kind}:{hashlib.sha256(repr(parts).encode()).hexdigest()}"
