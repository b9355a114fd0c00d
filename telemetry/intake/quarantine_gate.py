"""How much refused data of one sender is kept: a broken device must not fill the quarantine. What is not kept is
counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from telemetry.intake.batch import Rejection

DROPPED = "dropped"
_MOST_SENDERS = 50_000
#: Refusals whose device need not exist: the sender could invent a new name for each.
_OF_NOBODY = frozenset(("unknown_device", "forbidden_device", "malformed"))


class QuarantineGate:
    """Counts refusals by device and minute in this process; by key where the device may be invented. Thread-safe."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[tuple[int, str], int] = {}

    def admit(self, rejections: list[Rejection], key_id: int) -> list[Rejection]:
        """Those to be kept; beyond the rate, one of code DROPPED a device that says how many values were not."""
        kept: list[Rejection] = []
        dropped: dict[str, int] = {}
        with self._lock:
            minute = int(self._clock() // 60)
            if minute != self._minute or len(self._counts) > _MOST_SENDERS:
                self._minute, self._counts = minute, {}
            for refused in rejections:
                sender = (key_id, "") if refused.code in _OF_NOBODY else (0, refused.device)
                count = self._counts.get(sender, 0)
                if count < self._per_minute:
                    self._counts[sender] = count + 1
                    kept.append(refused)
                else:
                    dropped[sender[1]] = dropped.get(sender[1], 0) + refused.count
        return kept + [Rejection(None, "", DROPPED, "", device, "", count) for device, count in dropped.items()]
