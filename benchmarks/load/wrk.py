"""wrk as load generator: written in C, so that it takes little from the machine that it shares with the platform."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path

from benchmarks.load.requests import Load
from benchmarks.load.result import LostReading, Sent

_SCRIPT = Path(__file__).with_name("wrk.lua")
_MOST_THREADS = 10
_FEW_THREADS = 2
_DEADLINE_SECONDS = 300

HOW_TO_GET_IT = "wrk is not installed (Debian, Ubuntu: apt-get install wrk)"


def is_installed() -> bool:
    return shutil.which("wrk") is not None


def send(load: Load, port: int) -> Sent:
    """Send every request of the load once, as fast as they are answered; answers when the last one is.

    Up to 10 connections get a thread each, so that each keeps to its own order. Raises LostReading where a request is
    answered by another status than `load.taken`, RuntimeError where one gets no answer at all.
    """
    threads = load.connections if load.connections <= _MOST_THREADS else _FEW_THREADS
    line = ["wrk", "--threads", str(threads), "--connections", str(load.connections), "--latency"]
    line += ["--duration", f"{_DEADLINE_SECONDS}s", "--timeout", "60s", "--script", str(_SCRIPT)]
    line += [f"http://127.0.0.1:{port}", "--", str(load.directory), str(load.connections // threads), str(load.taken)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # wrk sleeps through its --duration even when its threads are done; this one ends it, and a stuck one as well.
    alarm = threading.Timer(_DEADLINE_SECONDS, process.kill)
    alarm.start()
    try:
        return _result(process, threads)
    finally:
        alarm.cancel()
        process.kill()
        process.wait()


def _result(process: subprocess.Popen[str], threads: int) -> Sent:
    slices, overall, said = [], {}, []
    assert process.stdout is not None
    for text in process.stdout:
        kind, _, rest = text.partition(" ")
        if kind == "slice":
            slices.append(json.loads(rest))
        elif kind == "all":
            overall = json.loads(rest)
        elif kind == "refused":
            raise LostReading(f"a request was not accepted: {rest.strip()}")
        else:
            said.append(text)
        if len(slices) == threads and not overall:
            process.send_signal(signal.SIGINT)
    if len(slices) != threads or overall.get("errors"):
        raise RuntimeError(f"wrk did not get an answer to every request:\n{''.join(said)[-2000:]}{overall or ''}")
    statuses: Counter[int] = Counter()
    for each in slices:
        statuses.update({int(status): count for status, count in each["statuses"].items()})
    return Sent(
        began=min(each["began"] for each in slices),
        ended=max(each["ended"] for each in slices),
        accepted=sum(each["accepted"] for each in slices),
        statuses=statuses,
        p50_ms=overall["p50_ms"],
        p99_ms=overall["p99_ms"],
    )
