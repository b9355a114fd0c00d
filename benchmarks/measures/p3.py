"""P3: how soon a reading can be read. P1's load at half its best rate, due at set times; POST sent → in an API answer.

Some readings a second are followed: a connection of our own looks in the table every few milliseconds which of them are
committed, and each of those is then asked for once with GET /api/v1/readings as a logged-in operator. The time ends
with the answer that contains it: one GET is in every figure, but no polling of the API wears the platform down.
P1's thresholds are active; an alert row is committed with the reading that opens it, in one transaction, so
`committed` is its time too.
"""

from __future__ import annotations

from benchmarks import bodies
from benchmarks.bench import CONNECTIONS, Bench
from benchmarks.load import sender, watch
from benchmarks.load.result import LostReading
from benchmarks.measures.p1 import THRESHOLDS
from benchmarks.report import Result

ID = "P3"
WHAT = "POST sent → readable, at half of P1's rate (p99)"
GOAL_MS = 250

_SHARE = 0.5
_SECONDS = 40
_SIZE = 1_000
_PROBES_PER_SECOND = 8


def measure(bench: Bench) -> Result:
    with bench.thresholds(THRESHOLDS):
        return _measure(bench)


def _measure(bench: Bench) -> Result:
    rate = bench.best_rate * _SHARE
    load = bench.load(bodies.one_metric, _SIZE, round(rate * _SECONDS))
    bench.store.empty()
    committed = bench.store.committed()
    followed = watch.probes(load, rate / _SIZE, _PROBES_PER_SECOND)
    watcher = watch.Watch(bench.store, bench.platform.port, bench.access.session, followed, load)
    timed = sender.send(load, bench.platform.port, rate / _SIZE, starting=watcher.begin)
    watcher.join()
    if watcher.error:
        raise watcher.error
    if set(timed.sent.statuses) != {202} or timed.sent.accepted != load.readings:
        raise LostReading(f"{load.readings} readings sent, {timed.sent.accepted} accepted: {dict(timed.sent.statuses)}")
    bench.store.wait_for(committed + load.readings)
    bench.store.must_have(load.readings)
    took = _milliseconds(watcher.seen, timed)
    stored = _milliseconds(watcher.committed, timed)
    p50, p99 = _percentile(took, 50), _percentile(took, 99)
    detail = {
        "p50_ms": p50,
        "p99_ms": p99,
        "worst_ms": round(took[-1], 1),
        "committed_p50_ms": _percentile(stored, 50),
        "committed_p99_ms": _percentile(stored, 99),
        "readings_followed": len(took),
        "readings_per_second": round(rate),
        "seconds": _SECONDS,
        "connections": CONNECTIONS,
        "answer_p50_ms": round(timed.sent.p50_ms, 1),
        "answer_p99_ms": round(timed.sent.p99_ms, 1),
        "posts_sent_late_ms_worst": round(timed.sent.notes["sent_late_ms_worst"], 1),
    }
    return Result(ID, WHAT, p99, GOAL_MS, p99, "ms", detail, lower_is_better=True)


def _milliseconds(reached: dict[watch.Probe, float], timed: sender.Timed) -> list[float]:
    """From sending to that point, shortest first."""
    return sorted((at - timed.sent_at[probe.connection][probe.post]) * 1000 for probe, at in reached.items())


def _percentile(times: list[float], percent: int) -> float:
    return round(times[len(times) * percent // 100], 1)
