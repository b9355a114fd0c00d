"""What a load generator saw."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class LostReading(Exception):
    """A reading was not accepted, or accepted and not stored: the run has failed, however fast it was."""


@dataclass(frozen=True, slots=True)
class Sent:
    """All answers to a load. Times are those of time.monotonic()."""

    began: float
    ended: float
    accepted: int
    statuses: Counter[int]
    p50_ms: float
    p99_ms: float
    #: Why posts came late or again, as far as the generator knows.
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.ended - self.began

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())
