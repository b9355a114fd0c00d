"""V: the whole way beside VictoriaMetrics and InfluxDB 1.x, where they are installed: the same readings, the same number a
request, over HTTP, on the same machine in the same run.

1,000,000 readings of 10,000 known series over 10 connections, 1,000 and 10,000 a request, in two forms each: every reading
by itself (P1's objects; a line each), and packed (the compact form; a line with all metrics of a device at one time). One
platform at a time has the machine: the peers are stopped while ours runs, and ours is while theirs do.

What is compared is not quite the same work. Our clock stops when the last reading is committed: checked against its key and
its device, judged by 1,000 thresholds, and safe from a crash. Theirs stops at the last answer. InfluxDB has then logged the
readings with fsync; VictoriaMetrics has them in memory only: `victoria-metrics_to_disk` runs the clock on
until it has written them.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

from benchmarks import bodies, lines
from benchmarks.baselines.peers import PEERS, Peer, Running, is_installed, running
from benchmarks.bench import ROUNDS, Bench, ratio, say
from benchmarks.fleet import FLEET, STEP_MS
from benchmarks.load import requests
from benchmarks.load.requests import Load
from benchmarks.load.result import LostReading
from benchmarks.machine.processes import ProcessGroup
from benchmarks.measures.p1 import THRESHOLDS
from benchmarks.report import Result, skipped

ID = "V"
WHAT = "whole way beside VictoriaMetrics and InfluxDB, the same readings"

SIZES = (1_000, 10_000)
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Form:
    """The same readings as the platform and as the peers are sent them."""

    ours: bodies.Form
    theirs: bodies.Form


FORMS = {
    "by_itself": Form(bodies.one_metric, lines.one_field),
    "packed": Form(bodies.compact, lines.all_fields),
}

#: What was measured → readings per second, a round each.
Rates = dict[str, list[float]]


def measure(bench: Bench) -> Result:
    peers = [peer for peer in PEERS if is_installed(peer)]
    missing = [
        f"{peer.name} is not installed (Debian: apt-get install {peer.package})" for peer in PEERS if peer not in peers
    ]
    for line in missing:
        say(f"  {line}")
    if not peers:
        return skipped(ID, WHAT, "; ".join(missing))
    yardsticks: list[float] = []
    with bench.thresholds(THRESHOLDS):
        rates = {size: _rates(bench, peers, size, yardsticks) for size in SIZES}
    found = {str(size): _compared(rates[size]) for size in SIZES}
    detail = {
        "r0_rounds": [round(rate) for rate in yardsticks],
        "by_readings_per_request": found,
        "active_thresholds": THRESHOLDS,
        "missing": missing,
    }
    headline = found[str(SIZES[0])]["by_itself"]
    ratios = [f"÷ {peer.name} {headline['ours_divided_by'][peer.package]:.2f}" for peer in peers]
    worst = min(headline["ours_divided_by"].values())
    what = f"whole way, {SIZES[0]:,} readings a request, {', '.join(ratios)}"
    return Result(ID, what, worst, None, headline["readings_per_second"]["ours"], "readings/s", detail)


def _rates(bench: Bench, peers: list[Peer], size: int, yardsticks: list[float]) -> dict[str, Rates]:
    """Form → rates of "ours" and of what `_send` measures of every peer; R0 is measured in between."""
    rates: dict[str, Rates] = {form: {} for form in FORMS}
    for _ in range(ROUNDS):
        yardsticks.append(bench.yardstick.measure())
        loads = {}
        for name, form in FORMS.items():
            load = bench.load(form.ours, size)
            rates[name].setdefault("ours", []).append(bench.empty_way(load).rate)
            loads[name] = _as_lines(bench, name, form, load)
        with bench.platform.paused():
            for peer in peers:
                for name, load in loads.items():
                    for what, rate in _send(bench, peer, FORMS[name], load).items():
                        rates[name].setdefault(what, []).append(rate)
        bench.warm_up(FLEET)
    return rates


def _compared(rates: dict[str, Rates]) -> dict[str, dict[str, Any]]:
    return {
        form: {
            "ours_divided_by": {
                name: round(ratio(each["ours"], figures), 3) for name, figures in each.items() if name != "ours"
            },
            "readings_per_second": {name: round(statistics.median(figures)) for name, figures in each.items()},
            "rounds": {name: [round(rate) for rate in figures] for name, figures in each.items()},
        }
        for form, each in rates.items()
    }


def _send(bench: Bench, peer: Peer, form: Form, load: Load) -> dict[str, float]:
    """Readings per second to the last answer, and `to_disk` where that is later. Raises LostReading where one cannot be found."""
    group = ProcessGroup(bench.ground.environment, bench.ground.path / "logs")
    with running(peer, group, bench.ground.directory(peer.package)) as started:
        _introduce(bench, started, form, load)
        known = started.stored()
        sent = bench.send(load, port=started.port)
        started.flush()
        flushed = time.monotonic()
        if (stored := started.stored() - known) != load.readings:
            raise LostReading(f"{load.readings} readings were sent to {peer.name}, it has {stored}")
    rates = {peer.package: load.readings / sent.seconds}
    if not peer.answers_from_disk:
        rates[f"{peer.package}_to_disk"] = load.readings / (flushed - sent.began)
    return rates


def _introduce(bench: Bench, started: Running, form: Form, load: Load) -> None:
    """Send one reading of every series, as the platform has been: it need not make any while the clock runs."""
    share = bodies.Share(FLEET, 0, 1, FLEET.metrics, FLEET.devices, load.start_ms - STEP_MS)
    bench.send(_built(bench, "introduction", form, share), port=started.port)
    started.flush()


def _as_lines(bench: Bench, name: str, form: Form, load: Load) -> Load:
    """The readings of a load of ours as the peers are sent them."""
    posts = load.posts // load.connections
    share = bodies.Share(load.fleet, 0, load.connections, load.readings_per_post, posts, load.start_ms)
    return _built(bench, name, form, share)


def _built(bench: Bench, name: str, form: Form, share: bodies.Share) -> Load:
    directory = bench.ground.directory(f"lines-{name}")
    return requests.build(directory, form.theirs, share, "nobody", lines.WRITE_PATH, taken=_NO_CONTENT)
