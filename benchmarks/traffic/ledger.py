"""What was sent and how it was answered, on the side of the senders."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Ledger", "Timing"]

_MOST_BROKEN = 50


@dataclass(frozen=True, slots=True)
class Timing:
    """Answers of one kind of request; times in ms."""

    name: str
    requests: int
    failures: int
    p50: float
    p95: float
    p99: float
    worst: float


@dataclass(slots=True)
class Ledger:
    """Times (ms since 1970) by device: `sent` has all that ever left, `accepted` what was answered 202."""

    sent: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    accepted: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    #: Receipt → values accepted under it. One that is given twice (Idempotency-Key) counts once.
    receipts: dict[str, int] = field(default_factory=dict)
    #: "kind status" → answers; status 0 is no answer.
    statuses: Counter[str] = field(default_factory=Counter)
    #: Reason → readings refused with it that belong in quarantine.
    refused: Counter[str] = field(default_factory=Counter)
    #: Values in requests that got no answer or a 5xx: stored or not, nobody can know.
    doubtful: int = 0
    #: The same of bad requests: in quarantine or not.
    doubtful_refusals: int = 0
    #: Requests that were sent again with the same data.
    repeats: int = 0
    broken: list[str] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)

    def leaves(self, readings: Mapping[str, Iterable[int]], values: int) -> None:
        """A request leaves; until it is answered, its values are in doubt."""
        for device, times in readings.items():
            self.sent[device].extend(times)
        self.doubtful += values

    def answered(self, kind: str, status: int, values: int, retry_after: str | None) -> None:
        """It was answered, or (status 0) was not."""
        self.statuses[f"{kind} {status}"] += 1
        if 0 < status < 500:
            self.doubtful -= values
        if not status:
            self.broke(f"{kind} got no answer")
        if status >= 500 and not (status == 503 and retry_after):
            self.broke(f"{kind} was answered {status}" + (" without Retry-After" if status == 503 else ""))

    def accept(self, readings: Mapping[str, Iterable[int]], receipt: str, accepted: int) -> None:
        """It was answered 202."""
        for device, times in readings.items():
            self.accepted[device].extend(times)
        self.receipts[receipt] = accepted

    def broke(self, what: str) -> None:
        """A promise was seen broken."""
        if len(self.broken) < _MOST_BROKEN:
            self.broken.append(what)

    def write(self, path: Path) -> None:
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["timings"] = [{name: getattr(each, name) for name in Timing.__slots__} for each in self.timings]
        path.write_text(json.dumps(fields))

    @classmethod
    def read(cls, path: Path) -> Ledger:
        found: dict[str, Any] = json.loads(path.read_text())
        found["timings"] = [Timing(**each) for each in found["timings"]]
        for name in ("statuses", "refused"):
            found[name] = Counter(found[name])
        return cls(**found)
