"""Who sends in a benchmark, and when: names of devices and metrics, and event times that never come twice."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

METRICS = (
    "temperature",
    "pressure",
    "vibration",
    "current",
    "voltage",
    "flow",
    "level",
    "humidity",
    "speed",
    "torque",
)

#: Time between two readings of a series.
STEP_MS = 100

#: All measurements together use up some two thousand seconds. Further back it would be yesterday for half of the day, in a
#: chunk whose time is over, which drains write to with more care.
_PAST_HOURS = 3


@dataclass(frozen=True, slots=True)
class Fleet:
    """`devices` devices of an open type, each sending the first `metrics` of METRICS."""

    prefix: str
    devices: int
    metrics: int = len(METRICS)

    @property
    def series(self) -> int:
        return self.devices * self.metrics

    def device(self, number: int) -> str:
        return f"{self.prefix}-{number:06d}"

    def metric_names(self) -> tuple[str, ...]:
        return METRICS[: self.metrics]


#: The fleet of the headline figures: 10,000 series.
FLEET = Fleet("bench", devices=1_000)


class EventClock:
    """Hands out event times, µs-exact multiples of a millisecond, always later than those handed out before.

    They lie in the recent past, so that none is too old or in the future, and a series' readings arrive in order, as
    those of a real device do.
    """

    def __init__(self) -> None:
        self._next = int(time.time() * 1000) - _PAST_HOURS * 3_600_000

    def take(self, steps: int) -> int:
        """The first of `steps` times (ms since 1970), STEP_MS apart, that are now used up."""
        start = self._next
        self._next += steps * STEP_MS
        if self._next > time.time() * 1000:
            raise RuntimeError(f"the benchmark has used up its {_PAST_HOURS} hours of event time")
        return start


def iso(milliseconds: int) -> str:
    """An event time as devices write it: 2026-11-21T10:00:00.250Z."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
