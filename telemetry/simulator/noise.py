"""Repeatable randomness: a number in [0, 1) that depends on nothing but its key."""

from __future__ import annotations

import math

__all__ = ["bell", "uniform", "wander"]

_MASK = (1 << 64) - 1


def uniform(*key: int) -> float:
    """A number in [0, 1), evenly spread; the same key gives the same number on every machine (SplitMix64)."""
    state = 0
    for part in key:
        state = _mixed((state ^ part) + 0x9E3779B97F4A7C15)
    return (state >> 11) / (1 << 53)


def bell(*key: int) -> float:
    """Roughly normal with mean 0 and deviation 1, never beyond ±3.5 (sum of four even numbers)."""
    return (sum(uniform(*key, part) for part in range(4)) - 2) * math.sqrt(3)


def wander(time_us: int, period_us: int, *key: int) -> float:
    """A smooth random walk in [-1, 1]: a new target every period, reached along a cosine."""
    step, offset = divmod(time_us, period_us)
    here, there = (2 * uniform(*key, step + ahead) - 1 for ahead in (0, 1))
    return here + (there - here) * (1 - math.cos(math.pi * offset / period_us)) / 2


def _mixed(value: int) -> int:
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
