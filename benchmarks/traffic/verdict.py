"""Whether a run kept every promise: what was sent and answered against what the platform has. Pure, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.traffic.ledger import Ledger
from benchmarks.traffic.plan import METRICS, values

__all__ = ["Found", "Series", "Verdict", "judge"]

#: Times (ms since 1970) and values of a stored series, in time order, doubles included.
Series = tuple[NDArray[np.int64], NDArray[np.float64]]
_EMPTY: Series = (np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(slots=True)
class Found:
    """What the platform has after the run."""

    #: By device and metric.
    series: Mapping[tuple[str, str], Series]
    #: Receipt → its state, as the API answers it.
    receipts: Mapping[str, Mapping[str, object]]
    #: Reason → rows in quarantine that came with a key of this run.
    quarantine: Counter[str] = field(default_factory=Counter)
    #: Log entries that were set aside whole.
    poisoned: int = 0
    #: What `verify_readings` finds wrong.
    faults: list[str] = field(default_factory=list)
    #: Seconds from the end of sending until nothing was waiting.
    drained_after: float = 0.0


@dataclass(slots=True)
class Verdict:
    """All numbers are values. It is good where nothing is `broken`."""

    accepted: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    #: Rows in quarantine: what was refused at once.
    refused: int = 0
    #: Values in requests that were answered 5xx or not at all: stored or not.
    doubtful: int = 0
    repeats: int = 0
    requests: int = 0
    drained_after: float = 0.0
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = "FAILED" if self.broken else "ok"
        return (
            f"load {said}: {self.requests:,} requests, {self.accepted:,} values accepted = {self.stored:,} stored + "
            f"{self.duplicates:,} duplicates + {self.quarantined:,} quarantined; {self.refused:,} refused, "
            f"{self.repeats:,} repeats, {self.doubtful:,} in doubt; drained {self.drained_after:.1f} s after the end; "
            f"{len(self.broken)} promises broken"
        )


def judge(ledger: Ledger, numbers: Mapping[str, int], found: Found) -> Verdict:
    """Compare the senders' ledger with what was found; `numbers` tells what each device measured (Plan.numbers)."""
    verdict = Verdict(
        doubtful=ledger.doubtful,
        repeats=ledger.repeats,
        requests=sum(ledger.statuses.values()),
        refused=sum(found.quarantine.values()),
        drained_after=found.drained_after,
        broken=[*ledger.broken, *found.faults],
    )
    rows = _count_series(ledger, numbers, found, verdict)
    _count_receipts(ledger, found, verdict)
    _count_quarantine(ledger, found, verdict)
    if not verdict.accepted:
        verdict.broken.append("nothing was accepted at all")
    if verdict.accepted != verdict.stored + verdict.duplicates + verdict.quarantined:
        verdict.broken.append("accepted is not stored + duplicates + quarantined")
    # A request without an answer may have been stored before its repeat, which then is a duplicate.
    if not 0 <= rows - verdict.stored <= ledger.doubtful:
        verdict.broken.append(f"receipts say {verdict.stored:,} values are stored, the table has {rows:,}")
    return verdict


def _count_series(ledger: Ledger, numbers: Mapping[str, int], found: Found, verdict: Verdict) -> int:
    """Compare every series; how many values the table has."""
    rows = sum(len(times) for times, _ in found.series.values())
    for device, number in numbers.items():
        sent = np.unique(np.array(ledger.sent.get(device, []), np.int64))
        accepted = np.unique(np.array(ledger.accepted.get(device, []), np.int64))
        for metric, name in enumerate(METRICS):
            times, stored = found.series.get((device, name), _EMPTY)
            wrong = int((values(number, metric, times) != stored).sum())
            for count, what in (
                (len(np.setdiff1d(accepted, times)), "accepted, but lost"),
                (len(times) - len(np.unique(times)), "stored twice"),
                (len(np.setdiff1d(times, sent)), "stored, but never sent"),
                (wrong, "stored with another value than was sent"),
            ):
                if count:
                    verdict.broken.append(f"{device} {name}: {count:,} values {what}")
    return rows


def _count_receipts(ledger: Ledger, found: Found, verdict: Verdict) -> None:
    states: Counter[str] = Counter()
    for receipt, accepted in ledger.receipts.items():
        state = found.receipts[receipt]
        counts = {name: int(str(state[name])) for name in ("accepted", "stored", "duplicates", "quarantined")}
        states[str(state["state"])] += 1
        if counts["accepted"] != accepted:
            verdict.broken.append(f"a receipt says {counts['accepted']} values, its answer said {accepted}")
        verdict.accepted += accepted
        verdict.stored += counts["stored"]
        verdict.duplicates += counts["duplicates"]
        verdict.quarantined += counts["quarantined"]
    for state, count in states.items():
        if state != "stored":
            verdict.broken.append(f"{count:,} receipts are {state}")


def _count_quarantine(ledger: Ledger, found: Found, verdict: Verdict) -> None:
    doubt = ledger.doubtful_refusals
    for code in sorted(ledger.refused.keys() | found.quarantine.keys()):
        if not 0 <= found.quarantine[code] - ledger.refused[code] <= doubt:
            verdict.broken.append(
                f"{ledger.refused[code]:,} readings were refused as {code}, {found.quarantine[code]:,} are in quarantine"
            )
    if found.poisoned:
        verdict.broken.append(f"{found.poisoned:,} log entries were set aside as poison")
