"""P6: a burst. A fleet with a steady rate of a fifth of P1's best sends ten times that for 10 s: twice that best.

Requests are due at set times whether the earlier ones are answered or not; one answered 503 is sent again after its
Retry-After, as a device would. Nothing accepted may be lost or refused afterwards, and first POST to last COMMIT must
run at 0.9 of P1's rate. P1 and the burst take turns.
"""

from __future__ import annotations

import statistics

from benchmarks import bodies
from benchmarks.bench import CONNECTIONS, ROUNDS, Bench, in_turn, ratio
from benchmarks.load import sender
from benchmarks.load.result import LostReading
from benchmarks.report import Result

ID = "P6"
WHAT = "burst of 10 s at ten times the steady rate ÷ P1"
GOAL = 0.9

_STEADY_SHARE = 0.2
_TIMES = 10
_SECONDS = 10
_SIZE = 1_000


def measure(bench: Bench) -> Result:
    offered = bench.best_rate * _STEADY_SHARE * _TIMES
    refused: list[int] = []

    def whole_way() -> float:
        return bench.empty_way(bench.load(bodies.one_metric)).rate

    rates, bursts = in_turn(ROUNDS, whole_way, lambda: _burst(bench, offered, refused))
    detail = {
        "offered_readings_per_second": round(offered),
        "burst_rounds": [round(rate) for rate in bursts],
        "p1_rounds": [round(rate) for rate in rates],
        "lost": 0,
        "refused_after_an_accept": 0,
        "answered_503_and_sent_again": refused,
        "connections": CONNECTIONS,
    }
    value = round(ratio(bursts, rates), 3)
    return Result(ID, WHAT, value, GOAL, round(statistics.median(bursts)), "readings/s", detail)


def _burst(bench: Bench, offered: float, refused: list[int]) -> float:
    """Readings per second, first POST to last COMMIT. Raises LostReading where one accepted is not stored."""
    load = bench.load(bodies.one_metric, _SIZE, round(offered * _SECONDS))
    bench.store.empty()
    committed = bench.store.committed()
    sent = sender.send(load, bench.platform.port, offered / _SIZE).sent
    refused.append(sent.statuses.pop(503, 0))
    if set(sent.statuses) != {202} or sent.accepted != load.readings:
        raise LostReading(f"{load.readings} readings sent, {sent.accepted} accepted, answers {dict(sent.statuses)}")
    ended = bench.store.wait_for(committed + load.readings)
    bench.store.must_have(load.readings)
    return load.readings / (ended - sent.began)
