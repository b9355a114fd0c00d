"""A run is good only where every value that was accepted is stored once, as it was sent, and nothing else is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.traffic.ledger import Ledger
from benchmarks.traffic.plan import METRICS, values
from benchmarks.traffic.verdict import Found, Verdict, judge

DEVICE, NUMBERS = "pump", {"pump": 3}
TIMES = [1_700_000_000_000, 1_700_000_000_001]
VALUES = len(TIMES) * len(METRICS)


def sent() -> Ledger:
    """Two readings sent twice, the second time without an Idempotency-Key; a third one was refused."""
    ledger = Ledger()
    for receipt in ("first", "again"):
        ledger.leaves({DEVICE: TIMES}, VALUES)
        ledger.answered("batch", 202, VALUES, None)
        ledger.accept({DEVICE: TIMES}, receipt, VALUES)
    ledger.answered("bad", 400, 0, None)
    ledger.refused["out_of_range"] += 1
    return ledger


def state(stored: int, duplicates: int) -> dict[str, object]:
    return {"state": "stored", "accepted": VALUES, "stored": stored, "duplicates": duplicates, "quarantined": 0}


def found(times: list[int] = TIMES) -> Found:
    at = np.array(times, np.int64)
    return Found(
        {(DEVICE, name): (at, values(3, metric, at)) for metric, name in enumerate(METRICS)},
        {"first": state(VALUES, 0), "again": state(0, VALUES)},
        Counter(out_of_range=1),
    )


def judged(ledger: Ledger, there: Found) -> Verdict:
    return judge(ledger, NUMBERS, there)


def test_a_run_that_kept_every_promise_is_ok() -> None:
    verdict = judged(sent(), found())
    assert verdict.broken == []
    assert (verdict.accepted, verdict.stored, verdict.duplicates, verdict.refused) == (12, 6, 6, 1)
    assert str(verdict).startswith("load ok: 3 requests, 12 values accepted = 6 stored + 6 duplicates + 0 quarantined")


def lost(_: Ledger, there: Found) -> None:
    there.series = found(TIMES[:1]).series


def doubled(_: Ledger, there: Found) -> None:
    there.series = found([*TIMES, TIMES[1]]).series


def invented(_: Ledger, there: Found) -> None:
    there.series = found([*TIMES, TIMES[1] + 5]).series


def changed(_: Ledger, there: Found) -> None:
    there.series[DEVICE, METRICS[0]][1][0] += 0.5


def forgotten(_: Ledger, there: Found) -> None:
    there.series = {key: series for key, series in there.series.items() if key[1] != METRICS[1]}


def waiting(_: Ledger, there: Found) -> None:
    there.receipts = {**there.receipts, "again": {**state(0, 0), "state": "pending"}}


def wrongly_counted(_: Ledger, there: Found) -> None:
    there.receipts = {**there.receipts, "again": state(1, VALUES - 1)}


def not_quarantined(_: Ledger, there: Found) -> None:
    there.quarantine = Counter()


def wrongly_refused(_: Ledger, there: Found) -> None:
    there.quarantine["too_old"] += 1


def poisoned(_: Ledger, there: Found) -> None:
    there.poisoned = 1


def found_unsound(_: Ledger, there: Found) -> None:
    there.faults = ["twice: other · a · 2026-11-21T10:00:00Z: 1, 2"]


def crashed(ledger: Ledger, _: Found) -> None:
    ledger.answered("batch", 500, 0, None)


def overloaded_without_a_word(ledger: Ledger, _: Found) -> None:
    ledger.answered("batch", 503, 0, None)


def unanswered(ledger: Ledger, _: Found) -> None:
    ledger.answered("batch", 0, 0, None)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lost, "1 values accepted, but lost"),
        (doubled, "1 values stored twice"),
        (invented, "1 values stored, but never sent"),
        (changed, "1 values stored with another value than was sent"),
        (forgotten, "2 values accepted, but lost"),
        (waiting, "1 receipts are pending"),
        (wrongly_counted, "receipts say 7 values are stored, the table has 6"),
        (not_quarantined, "1 readings were refused as out_of_range, 0 are in quarantine"),
        (wrongly_refused, "0 readings were refused as too_old, 1 are in quarantine"),
        (poisoned, "1 log entries were set aside as poison"),
        (found_unsound, "twice: other"),
        (crashed, "batch was answered 500"),
        (overloaded_without_a_word, "batch was answered 503 without Retry-After"),
        (unanswered, "batch got no answer"),
    ],
)
def test_a_broken_promise_makes_it_fail(harm: Callable[[Ledger, Found], None], words: str) -> None:
    ledger, there = sent(), found()
    harm(ledger, there)
    verdict = judged(ledger, there)
    assert any(words in broken for broken in verdict.broken), verdict.broken
    assert str(verdict).startswith("load FAILED: ")


def test_a_503_with_retry_after_is_no_broken_promise_and_its_values_may_be_stored() -> None:
    ledger = sent()
    more = TIMES[1] + 9
    ledger.leaves({DEVICE: [more]}, len(METRICS))
    ledger.answered("batch", 503, len(METRICS), "2")
    for there in (found(), found([*TIMES, more])):
        verdict = judged(ledger, there)
        assert verdict.broken == []
        assert verdict.doubtful == len(METRICS)


def test_a_run_in_which_nothing_was_accepted_proves_nothing() -> None:
    verdict = judge(Ledger(), NUMBERS, Found({}, {}))
    assert verdict.broken == ["nothing was accepted at all"]
