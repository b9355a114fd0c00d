"""Spans of time in which something happens to a device: a fault, an outage, a restart, an open door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from telemetry.simulator.noise import uniform

__all__ = ["DAY", "HOUR", "MINUTE", "SECOND", "Window", "Windows"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

#: How far back `last_end` looks; with a chance of 1/4 per slot nothing is ever older.
_SLOTS_BACK = 400


@dataclass(frozen=True, slots=True)
class Window:
    """A span [start, end) in µs; `draw` in [0, 1) tells one window of a device from the next."""

    start: int
    end: int
    draw: float


@dataclass(frozen=True, slots=True)
class Windows:
    """At most one window in each slot of time, at a random place in it. All lengths in µs.

    `chance` is the share of slots that have one: a number, or a function of the slot's start.
    """

    salt: int
    slot: int
    shortest: int
    longest: int
    chance: float | Callable[[int], float]

    def at(self, seed: int, device: int, time_us: int) -> Window | None:
        """The window that holds this time, if there is one."""
        window = self._in_slot(seed, device, time_us // self.slot)
        return window if window and window.start <= time_us < window.end else None

    def last_end(self, seed: int, device: int, time_us: int) -> int:
        """When the last window before this time was over."""
        newest = time_us // self.slot
        for slot in range(newest, newest - _SLOTS_BACK, -1):
            window = self._in_slot(seed, device, slot)
            if window and window.end <= time_us:
                return window.end
        return (newest - _SLOTS_BACK) * self.slot

    def _in_slot(self, seed: int, device: int, slot: int) -> Window | None:
        chance = self.chance if isinstance(self.chance, float) else self.chance(slot * self.slot)
        key = (seed, device, self.salt, slot)
        if uniform(*key, 0) >= chance:
            return None
        length = self.shortest + int((self.longest - self.shortest) * uniform(*key, 1))
        start = slot * self.slot + int((self.slot - length) * uniform(*key, 2))
        return Window(start, start + length, uniform(*key, 3))
