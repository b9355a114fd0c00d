"""`python -m tests.soak`: every fault, all rounds; the last line is the verdict with its counts.

--seed N      other random moments and readings (default: 1)
--only NAME   some of the scenarios, by name, separated by commas
--rounds X    that share of the rounds (0.2: a fifth, at least one of each)
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.faults.load import Outcome
from tests.soak.scenarios import PLATFORMS, SCENARIOS, Scenario


def main() -> int:
    options = _options()
    began, total, rounds, failed, untried = time.monotonic(), Outcome(), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as folder:
        for scenario, amount, seconds, outcome in _run(Path(folder), options):
            if outcome.untried:
                untried += 1
                print(f"untried {scenario.name}: {outcome.untried}", flush=True)
                continue
            rounds += 1 if scenario.seconds else amount
            failed += bool(outcome.violations)
            total.add(outcome)
            verdict = "FAILED" if outcome.violations else "ok"
            unit = " s" if scenario.seconds else ""
            print(f"{verdict:7} {scenario.name} ({amount}{unit}) in {seconds:.0f} s: {outcome}", flush=True)
            for violation in outcome.violations:
                print(f"        - {violation}", flush=True)
    verdict = "FAILED" if failed or not rounds else "ok"
    print(
        f"soak {verdict}: {rounds} rounds, {failed} scenarios failed, {untried} untried, "
        f"{len(total.violations)} violations; {total}; seed {options.seed}, {time.monotonic() - began:.0f} s"
    )
    return int(verdict != "ok")


def _run(folder: Path, options: argparse.Namespace) -> Iterator[tuple[Scenario, int, float, Outcome]]:
    """Each scenario that is wanted, with its amount, how long it took (s), and its outcome, as they are done."""
    places = itertools.count(1)
    for kind, group in itertools.groupby(_wanted(options.only), key=lambda each: each[1].platform):
        scenarios = list(group)
        with contextlib.ExitStack() as stack:
            try:
                platform = stack.enter_context(PLATFORMS[kind](folder / str(next(places))))
            except Exception as error:
                yield from ((one, 0, 0.0, _not_carried_out(error)) for _, one in scenarios)
                continue
            for number, scenario in scenarios:
                amount, began = max(1, round(scenario.amount * options.rounds)), time.monotonic()
                outcome = _guarded(scenario, platform, amount, options.seed + number)
                yield scenario, amount, time.monotonic() - began, outcome


def _wanted(only: str) -> Iterable[tuple[int, Scenario]]:
    """Scenarios with their numbers. Raises SystemExit for a name that there is not."""
    names = [name for name in only.split(",") if name]
    if unknown := set(names) - {scenario.name for scenario in SCENARIOS}:
        raise SystemExit(f"no such scenario: {', '.join(sorted(unknown))}")
    return [(number, one) for number, one in enumerate(SCENARIOS) if not names or one.name in names]


def _guarded(scenario: Scenario, platform: Any, amount: int, seed: int) -> Outcome:
    """A scenario that cannot be carried on counts as failed; the others go on."""
    try:
        return scenario.run(platform, amount, seed)
    except Exception as error:
        return _not_carried_out(error)


def _not_carried_out(error: Exception) -> Outcome:
    traceback.print_exception(error)
    return Outcome(violations=[f"not carried out: {error!r}"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=float, default=1.0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
