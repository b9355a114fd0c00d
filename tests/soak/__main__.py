"""`python -m tests.soak`: every fault, all rounds; the last line is the verdict with its counts.

--seed N      other random moments and readings (default: 1)
--only NAME   some of the scenarios, by name, separated by commas
--rounds X    that share of the rounds (0.2: a fifth, at least one of each)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import alert_kills, clock, kills, outages, replaced, stops
from tests.faults.load import Outcome
from tests.live import LivePlatform

#: Scenarios on one platform: what is done, and how often (or for how many seconds).
_ON_ONE_PLATFORM: dict[str, tuple[Callable[[LivePlatform, int, int], Outcome], int]] = {
    "kill_drains": (kills.kill_drains, 20),
    "kill_log": (kills.kill_log, 5),
    "kill_database": (kills.kill_database, 5),
    "kill_web": (kills.kill_web, 5),
    "database_away": (outages.database_away, 30),
    "log_away": (outages.log_away, 15),
    "database_hangs": (outages.database_hangs, 15),
    "log_hangs": (outages.log_hangs, 15),
    "log_emptied": (replaced.log_emptied, 4),
    "log_set_back": (replaced.log_set_back, 4),
    "database_set_back": (replaced.database_set_back, 4),
}
_STOPS = 6
_ALERTS = 20


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as folder:
        began, total, rounds, failed = time.monotonic(), Outcome(), 0, 0
        for name, number, outcome in _run(Path(folder), options):
            rounds += number
            failed += bool(outcome.violations)
            _add(total, outcome)
            print(f"{'FAILED' if outcome.violations else 'ok':7}{name} ({number}): {outcome}", flush=True)
            for violation in outcome.violations:
                print(f"       - {violation}", flush=True)
    verdict = "FAILED" if failed or not rounds else "ok"
    print(
        f"soak {verdict}: {rounds} rounds, {failed} scenarios failed, {len(total.violations)} violations; {total}; "
        f"seed {options.seed}, {time.monotonic() - began:.0f} s"
    )
    return int(verdict != "ok")


def _run(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, int, Outcome]]:
    """Name, rounds and outcome of each scenario, as they are done."""

    def wanted(name: str) -> bool:
        return not options.only or name in options.only.split(",")

    def often(rounds: int) -> int:
        return max(1, round(rounds * options.rounds))

    if any(wanted(name) for name in _ON_ONE_PLATFORM):
        with LivePlatform(folder / "a") as platform:
            for number, (name, (scenario, rounds)) in enumerate(_ON_ONE_PLATFORM.items()):
                if wanted(name):
                    run, seed = often(rounds), options.seed + number
                    made = _guarded(lambda scenario=scenario, run=run, seed=seed: [scenario(platform, run, seed)])
                    yield name, 1 if name.endswith(("_away", "_hangs")) else run, made[0]
    if wanted("clock"):
        with clock.platform_with_clock(folder / "b") as (platform, set_clock):
            for outcome in _guarded(lambda: clock.clock_back_and_forth(platform, set_clock, options.seed)):
                yield "clock", 1, outcome
    if wanted("stops"):
        run = often(_STOPS)
        yield "stops", run, _guarded(lambda: [stops.stop_and_kill(folder / "c", run, options.seed)])[0]
    if wanted("alerts"):
        with alert_kills.platform_with_receiver(folder / "d") as (platform, inbox):
            run = often(_ALERTS)
            made = _guarded(lambda: [alert_kills.kill_while_alerting(platform, inbox, run, options.seed)])
            yield "alerts", run, made[0]


def _guarded(run: Callable[[], list[Outcome]]) -> list[Outcome]:
    """A scenario that cannot be carried on counts as failed; the others go on."""
    try:
        return run()
    except Exception as error:
        traceback.print_exc()
        return [Outcome(violations=[f"not carried out: {error!r}"])]


def _add(total: Outcome, one: Outcome) -> None:
    for name in ("batches", "accepted", "stored", "lost_batches", "refused", "looks", "retried"):
        setattr(total, name, getattr(total, name) + getattr(one, name))
    total.answers.update(one.answers)
    total.slowest = max(total.slowest, one.slowest)
    total.violations += one.violations


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=float, default=1.0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
