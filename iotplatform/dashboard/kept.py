"""Answers that everybody who looks may share for some seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import redis
from django.core.cache import cache

__all__ = ["kept"]

T = TypeVar("T")


def kept(name: str, seconds: int, make: Callable[[], T]) -> T:
    """What was made at most so long ago, else made now. Without the cache it is made each time: slower, not wrong."""
    key = f"dashboard:{name}"
    try:
        found: T | None = cache.get(key)
    except redis.RedisError:
        return make()
    if found is not None:
        return found
    made = make()
    try:
        cache.set(key, made, seconds)
    except redis.RedisError:
        return made
    return made
