"""`python -m benchmarks [--only P1,P2]`: run the benchmarks, print goal beside figure, write RUN_DIR/bench.json.

Exit code 0 when every measurement ran and nothing was lost, whether or not its goal was met; 1 otherwise.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType, ModuleType

import psycopg
from rich.console import Console

from benchmarks import report
from benchmarks.bench import STORED_ROWS, Bench, say
from benchmarks.load import wrk
from benchmarks.load.result import LostReading
from benchmarks.machine.description import describe
from benchmarks.machine.ground import Ground
from benchmarks.machine.platform import Platform
from benchmarks.machine.store import Store
from benchmarks.measures import (
    cost,
    m1,
    naive,
    p1,
    p1c,
    p2,
    p3,
    p4,
    p4e,
    p5,
    p6,
    p7,
    p8,
    q1,
    q2,
    q3,
    r0,
    s1,
    scale,
    storm,
    v,
)
from iotplatform.env import config
from iotplatform.launcher.errors import LaunchError

MEASURES: dict[str, ModuleType] = {
    # M1 before what fills the processes with a hundred thousand thresholds or devices: its peak is that of P1. The queries
    # last: what they ask about stays until the end.
    module.ID: module
    for module in (r0, p1, p1c, m1, p2, p3, p4, p4e, p5, p6, p7, p8, storm, naive, v, scale, cost, q1, q2, q3, s1)
}

_NO_WRK = (
    f"{wrk.HOW_TO_GET_IT}; our own load generator stands in for it. It is written in Python and takes more of the "
    "machine away from the platform, so figures of small requests come out lower."
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", metavar="P1,P2", help=f"some of {', '.join(MEASURES)}")
    parser.add_argument(
        "--stored-rows", type=int, default=STORED_ROWS, help="readings in the store that Q1 to S1 ask about"
    )
    options = parser.parse_args(arguments)
    named = {name.strip() for name in options.only.split(",") if name.strip()} or set(MEASURES)
    if unknown := sorted(named - set(MEASURES)):
        parser.error(f"there is no measurement {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    signal.signal(signal.SIGTERM, _stop)
    machine = describe() | {"load_generator": "wrk" if wrk.is_installed() else _NO_WRK}
    if not wrk.is_installed():
        say(_NO_WRK)
    try:
        results, engine = _run([measure for name, measure in MEASURES.items() if name in named], options.stored_rows)
    except (LaunchError, RuntimeError, psycopg.Error) as error:
        sys.exit(f"the benchmark could not start: {error}")
    report.write(config.run_dir / "bench.json", results, machine, engine)
    report.table(results, machine, engine, Console())
    return 1 if any(result.failed for result in results) else 0


def _run(measures: list[ModuleType], stored_rows: int) -> tuple[list[report.Result], str]:
    say("starting servers and the platform")
    results = []
    with Ground(config.database_url) as ground, Platform(ground) as platform, Store(ground.database) as store:
        bench = Bench(ground, platform, store, stored_rows)
        for measure in measures:
            began = time.monotonic()
            say(f"{measure.ID}: {measure.WHAT}")
            try:
                results.append(measure.measure(bench))
            except (LostReading, RuntimeError, OSError, psycopg.Error) as error:
                results.append(report.failed(measure.ID, measure.WHAT, error))
                _keep_logs(ground)
            result = results[-1]
            say(f"  {result.value} {result.verdict()} after {time.monotonic() - began:.0f} s: {result.detail}")
        return results, f"{bench.engine}: {ground.database.version()}"


def _keep_logs(ground: Ground) -> None:
    """What the processes said before the failure, where it outlives the run."""
    kept = config.run_dir / "bench-logs"
    shutil.copytree(ground.path / "logs", kept, dirs_exist_ok=True)
    say(f"  what the processes said: {kept}")


def _stop(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)  # through every with block, so that nothing is left running


if __name__ == "__main__":
    sys.exit(main())
