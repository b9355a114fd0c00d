"""`python -m benchmarks.traffic`: a fleet and its operators on a platform of their own; the last line is the verdict.

--seconds N   how long they send (default: 60)
--users N     how many of them (default: 40)
--mix TEXT    their kinds and shares, as in single=40,retry=10 (default: every kind)
--curve       instead: throughput and time to the answer over readings per request, written to RUN_DIR/load-curve.json

Exit code 0 where every promise was kept, 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.load.result import LostReading
from benchmarks.traffic import curve
from benchmarks.traffic.curve import CURVE_FILE
from benchmarks.traffic.ledger import Ledger
from benchmarks.traffic.plan import SHARES, deal, shares_of
from benchmarks.traffic.verdict import Verdict
from iotplatform.env import BASE_DIR, config
from iotplatform.launcher.errors import LaunchError
from tests.live import LivePlatform

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
#: Nobody begins anything in the last seconds, so that Locust cuts no request off.
_LAST_SECONDS = 4
#: For what is under way even then.
_STOP_SECONDS = 40
_PATIENCE_SECONDS = 180


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _stop)
    if options.curve:
        return _curve()
    users = deal(options.users, shares_of(options.mix))
    print(f"{options.seconds} s of {', '.join(f'{count} × {kind}' for kind, count in users.items())}", flush=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="traffic-", dir="/tmp") as folder,  # sockets need a short path
            LivePlatform(Path(folder) / "run") as platform,
        ):
            ledger, verdict = _run(platform, Path(folder), users, options)
    except (LaunchError, OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"load FAILED: it could not be carried out: {error}")
        return 1
    _print(ledger)
    for broken in verdict.broken:
        print(f"  - {broken}")
    print(verdict)
    return int(bool(verdict.broken))


def _curve() -> int:
    path = config.run_dir / CURVE_FILE
    try:
        points = curve.run(path)
    except (LaunchError, LostReading, OSError, RuntimeError, psycopg.Error) as error:
        print(f"load FAILED: {error}")
        return 1
    heads, *rows = curve.table([asdict(point) for point in points])
    table = Table(*heads)
    for column in table.columns:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    print(f"load ok: {len(rows)} sizes of request, everything accepted is stored; {path}")
    return 0


def _run(
    platform: LivePlatform, folder: Path, users: Mapping[str, int], options: argparse.Namespace
) -> tuple[Ledger, Verdict]:
    """Provision, send, count."""
    plan, ledger, verdict = (folder / f"{name}.json" for name in ("plan", "ledger", "verdict"))
    own = {**platform.environment, "TRAFFIC_PLAN": str(plan), "TRAFFIC_LEDGER": str(ledger)}
    own["TRAFFIC_SECONDS"] = str(options.seconds)
    module = [sys.executable, "-m"]
    _carry_out([*module, "benchmarks.traffic.provision", str(plan), str(options.seed), json.dumps(users)], own)
    locust = [*module, "locust", "-f", str(_LOCUSTFILE), "--headless", "--host", platform.url, "--only-summary"]
    count = str(sum(users.values()))
    locust += ["--users", count, "--spawn-rate", count, "--run-time", f"{options.seconds + _LAST_SECONDS}s"]
    # What Locust takes for a failure is in the ledger, too: the verdict is ours.
    locust += ["--stop-timeout", str(_STOP_SECONDS), "--exit-code-on-error", "0", "--loglevel", "WARNING"]
    # A process of its own: gevent changes what the process that it is in does with sockets.
    _carry_out(locust, own, options.seconds + _STOP_SECONDS)
    _carry_out([*module, "benchmarks.traffic.count", *map(str, (plan, ledger, verdict))], own)
    return Ledger.read(ledger), Verdict(**json.loads(verdict.read_text()))


def _carry_out(line: list[str], environment: Mapping[str, str], seconds: float = 0.0) -> None:
    """Run it to its end. Raises RuntimeError with its last words if it fails."""
    done = subprocess.run(
        line, cwd=BASE_DIR, env=dict(environment), capture_output=True, text=True, timeout=seconds + _PATIENCE_SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"{line[2]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _print(ledger: Ledger) -> None:
    table = Table("request", "count", "failed", "p50 ms", "p99 ms", "worst ms", "answers")
    for column in table.columns[1:6]:
        column.justify = "right"
    for each in ledger.timings:
        answers = {
            key.removeprefix(f"{each.name} "): count
            for key, count in sorted(ledger.statuses.items())
            if key.rpartition(" ")[0] == each.name
        }
        table.add_row(
            each.name,
            f"{each.requests:,}",
            f"{each.failures:,}",
            *(f"{ms:,.0f}" for ms in (each.p50, each.p99, each.worst)),
            ", ".join(f"{count:,} × {status}" for status, count in answers.items()),
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.traffic", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--mix", default="", metavar="KIND=SHARE,…", help=f"kinds: {', '.join(SHARES)}")
    parser.add_argument("--curve", action="store_true", help="throughput and times over readings per request")
    parser.add_argument("--seed", type=int, default=1, help="part of the names of what is made")
    options = parser.parse_args(arguments)
    try:
        deal(options.users, shares_of(options.mix))
    except ValueError as error:
        parser.error(str(error))
    return options


def _stop(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)  # through every with block, so that nothing is left running


if __name__ == "__main__":
    sys.exit(main())
