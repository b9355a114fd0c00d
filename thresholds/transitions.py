"""What judging finds: changes of alerts, in the order of the readings that made them. Plain records; alerts write them.

A drain's transitions of one (threshold, series) come first, in order; its one Progress, if any, adds to the alert that
is live after them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import psycopg

__all__ = ["Ended", "Extreme", "Judged", "Progress", "Recorder", "Transition", "TransitionKind"]

#: ``flapping``: this opening was one too many within the window; the alert stays open until it is quiet.
TransitionKind = Literal["opened", "raised", "lowered", "flapping", "cleared"]


class Extreme(NamedTuple):
    """The value furthest from what is safe among some breaching readings; of a rate the rate."""

    value: float
    #: Which of two is the further one: the larger, the smaller, the one further from ``middle``, or the later.
    sense: Literal["high", "low", "far", "latest"]
    #: Of "far": the middle of the range [low, high] that values are to stay in.
    middle: float = 0.0


class Transition(NamedTuple):
    """One change of the one live alert of a (threshold, series). Event times are µs since 1970."""

    kind: TransitionKind
    threshold_id: int
    series_id: int
    #: Event time and value of the reading that made it; for ``silent`` the moment and the seconds of silence.
    at: int
    #: None where no reading made it: a level was removed while others were on.
    value: float | None
    #: After the change; of ``cleared``: what it was.
    severity: int
    #: The trigger of that severity's level: a number, or [low, high].
    trigger: float | list[float] | None = None
    #: Of ``opened``: how it came to open (see thresholds.machine.evidence), as JSON.
    evidence: dict[str, Any] = {}
    #: Of ``opened``: made by a reading of an import or of a backfill key; nobody is notified.
    imported: bool = False
    #: The series was up to date with the clock at this reading; of ``cleared``: at one before it in this drain.
    caught_up: bool = True
    #: What to add to the alert: breaching readings since its last transition in this drain, this one included (of
    #: ``opened``: the breaching readings in a row that led to it), and the furthest of them.
    readings: int = 0
    extreme: Extreme | None = None


class Progress(NamedTuple):
    """What one drain's readings, after its last transition, added to a live alert; none of them changed its state."""

    threshold_id: int
    series_id: int
    #: The latest judged reading.
    at: int
    value: float
    #: Furthest from what is safe among the new ones; None where none of them breached.
    extreme: Extreme | None
    #: How many of the new ones breached.
    readings: int
    caught_up: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """A live alert that no reading will ever close: its threshold, level or device is gone."""

    threshold_id: int
    series_id: int
    #: "threshold removed", "level removed", "device disabled" or "device deleted".
    reason: str


@dataclass(slots=True)
class Judged:
    """All that one drain found, for one transaction. ``now``: wall clock, µs since 1970."""

    now: int
    shard: int
    transitions: list[Transition] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    #: threshold id → the threshold as the REST API shows it, for every ``opened``.
    rules: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: series id → trace context (telemetry.tracing.context) of the request that brought its readings, of those traced.
    traces: dict[int, bytes] = field(default_factory=dict)


class Recorder(Protocol):
    """Writes what judging found, in the drain's transaction."""

    def __call__(self, connection: psycopg.Connection[Any], judged: Judged) -> None:
        """Write it. What raises here undoes the judging of this drain; it is judged again later."""
