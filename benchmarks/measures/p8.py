"""P8: what a web process does with a reading, from the body's bytes to the log entry: decode, resolve, check, encode.

CPU time of one core, without HTTP and without the append; the registry knows all series. Bodies of 1,000 readings in
JSON (objects of one metric) and in the compact form, and of 10,000 as columns of Arrow, long and wide. A goal a form;
the figure is the one that is worst against its own.
"""

from __future__ import annotations

import json
import sys

from benchmarks.bench import Bench
from benchmarks.report import Result
from iotplatform.launcher.processes import Command

ID = "P8"
WHAT = "intake alone, CPU per reading"

#: Form of benchmarks.machine.intake → µs that are allowed.
GOALS = {"json": 1.5, "compact": 0.4, "arrow_long": 0.15, "arrow_wide": 0.15}


def measure(bench: Bench) -> Result:
    command = Command("intake", (sys.executable, "-m", "benchmarks.machine.intake"))
    costs: dict[str, float] = json.loads(bench.platform.run(command).splitlines()[-1])
    worst = max(GOALS, key=lambda form: costs[form] / GOALS[form])
    detail = {form: {"microseconds": cost, "goal": GOALS.get(form)} for form, cost in costs.items()}
    value = round(costs[worst], 3)
    return Result(ID, f"{WHAT}: {worst}", value, GOALS[worst], value, "µs", detail, lower_is_better=True)
